//! The newest values of many pieces of equipment, portion by portion. Those of one piece are in [`super::equipment`].

use super::App;
use super::heads::KnownHead;
use crate::access::Granted;
use crate::access::rights::{ViewData, ViewEquipment};
use crate::equipment::{EquipmentFilter, Reach};
use crate::error::Error;
use crate::id::EquipmentId;
use std::sync::Arc;

/// How many pieces a portion has at most.
const AT_ONCE: u32 = 1000;

/// What is newest of some pieces.
pub struct Portion {
    /// The heads, ordered by id.
    pub heads: Vec<Arc<KnownHead>>,
    /// After which piece the next portion begins; nothing when there is none.
    pub after: Option<EquipmentId>,
}

/// The pieces in the register that match, beyond `after`: as many as fit into memory comfortably. `pieces` are the only ones
/// wanted, if there are any. What the register says of equipment is for those who may see it, and so are its filters.
pub async fn next(
    app: &App,
    by: &Granted<ViewData>,
    filter: &EquipmentFilter,
    pieces: &[EquipmentId],
    after: Option<EquipmentId>,
) -> Result<Portion, Error> {
    if *filter != EquipmentFilter::default() {
        by.actor().grant::<ViewEquipment>()?;
    }
    let reach = narrowed(by.actor().reach(), pieces);
    let filter = EquipmentFilter { reach, hidden: false, ..filter.clone() };
    let ids = app.store.reader().await?.equipment().walk(&filter, after, AT_ONCE).await?;
    let is_last = u32::try_from(ids.len()).is_ok_and(|count| count < AT_ONCE);
    let mut known = app.heads_of(&ids).await?;
    Ok(Portion {
        heads: ids.iter().filter_map(|id| known.remove(id)).collect(),
        after: ids.last().copied().filter(|_| !is_last),
    })
}

/// The wanted pieces that are within reach.
fn narrowed(reach: &Reach, wanted: &[EquipmentId]) -> Reach {
    if wanted.is_empty() {
        return reach.clone();
    }
    let mut wanted: Vec<EquipmentId> = wanted.iter().copied().filter(|id| reach.covers(*id)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    Reach::Only(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_equipment_never_reaches_further() {
        let id = |number| EquipmentId::new(number).unwrap();
        let limited = Reach::Only(vec![id(1), id(3)]);
        assert_eq!(narrowed(&limited, &[]), limited);
        assert_eq!(narrowed(&limited, &[id(3), id(2), id(3)]), Reach::Only(vec![id(3)]));
        assert_eq!(narrowed(&limited, &[id(2)]), Reach::Only(Vec::new()));
        assert_eq!(narrowed(&Reach::All, &[id(3), id(2)]), Reach::Only(vec![id(2), id(3)]));
        assert_eq!(narrowed(&Reach::All, &[]), Reach::All);
    }
}
