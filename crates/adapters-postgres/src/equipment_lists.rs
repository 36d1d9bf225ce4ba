//! Pages of equipment. A page is two statements however long it is.
//!
//! Which pieces are on it is found out first: what belongs to a piece would otherwise be looked up for all the pieces of
//! the pages before, too.

use crate::equipment::{SeenRow, equipment_ids, restore, seen};
use crate::link::Link;
use crate::lists::{Ordering, Uncached, among, by, effective, within};
use crate::rows::{day, stamp};
use crate::schema::equipment;
use crate::search;
use diesel::BoxableExpression;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use domain::equipment::{Details, Equipment, EquipmentFilter, EquipmentKey, EquipmentQuery, Reach};
use domain::id::EquipmentId;
use domain::page::{Order, Page};
use domain::ports::StoreError;
use domain::text::{Label, Location, SerialNumber};

/// A page of equipment.
pub(crate) async fn list(link: &mut Link, query: &EquipmentQuery) -> Result<Page<Equipment>, StoreError> {
    let total: i64 = link.the(Uncached(matching(&query.filter).count())).await?;
    let page = query.page;
    let mut on_page =
        matching(&query.filter).select(equipment::id).offset(page.offset()).limit(i64::from(page.size()));
    let order = effective(&query.order, EquipmentKey::Id);
    for order in &order {
        on_page = on_page.then_order_by(ordering(*order));
    }
    let mut rows = equipment::table.filter(equipment::id.eq_any(on_page)).select(seen()).into_boxed();
    for order in order {
        rows = rows.then_order_by(ordering(order));
    }
    let rows: Vec<SeenRow> = link.all(Uncached(rows)).await?;
    let items = rows.into_iter().map(restore).collect::<Result<_, _>>()?;
    Ok(Page { total: total.unsigned_abs(), items })
}

/// The ids of the pieces beyond one.
pub(crate) async fn walk(
    link: &mut Link,
    filter: &EquipmentFilter,
    after: Option<EquipmentId>,
    limit: u32,
) -> Result<Vec<EquipmentId>, StoreError> {
    let ids = matching(filter)
        .filter(equipment::id.gt(after.map_or(0, EquipmentId::get)))
        .order(equipment::id)
        .limit(limit.into())
        .select(equipment::id);
    equipment_ids(link.all(Uncached(ids)).await?)
}

fn matching(filter: &EquipmentFilter) -> equipment::BoxedQuery<'_, Pg> {
    let mut matching = if filter.hidden {
        equipment::table.filter(equipment::hidden_at.is_not_null()).into_boxed()
    } else {
        equipment::table.filter(equipment::hidden_at.is_null()).into_boxed()
    };
    among!(matching, equipment::name_key, filter.names, Label::key);
    among!(matching, equipment::kind_key, filter.kinds, Label::key);
    among!(matching, equipment::model_key, filter.models, Label::key);
    among!(matching, equipment::manufacturer_key, filter.manufacturers, Label::key);
    among!(matching, equipment::serial_number_key, filter.serial_numbers, SerialNumber::key);
    among!(matching, equipment::status, filter.statuses, |status| *status as i16);
    among!(matching, equipment::location, filter.locations, Location::as_str);
    among!(matching, equipment::parent_id, filter.parents, |parent| parent.get());
    within!(matching, equipment::installed_on, filter.installed, day);
    within!(matching, equipment::next_maintenance_on, filter.due, day);
    within!(matching, equipment::created_at, filter.created, stamp);
    within!(matching, equipment::updated_at, filter.updated, stamp);
    if let Some(under) = filter.under.iter().map(lies_under).reduce(|one, other| Box::new(one.or(other))) {
        matching = matching.filter(under);
    }
    if let Reach::Only(pieces) = &filter.reach {
        matching = matching.filter(equipment::id.eq_any(pieces.iter().map(|piece| piece.get())));
    }
    if let Some(text) = &filter.search {
        matching = matching.filter(equipment::search_key.like(search::pattern(text)));
    }
    matching
}

/// The place itself, and what begins with it and a `/`: byte by byte that is what comes before it and a `0`, the character
/// after.
fn lies_under(
    above: &Location,
) -> Box<dyn BoxableExpression<equipment::table, Pg, SqlType = Nullable<Bool>> + '_> {
    let inside = equipment::location.ge(format!("{above}/")).and(equipment::location.lt(format!("{above}0")));
    Box::new(equipment::location.eq(above.as_str()).or(inside))
}

/// All that a search looks through.
pub(crate) fn search_key(details: &Details) -> String {
    let labels =
        [Some(&details.name), Some(&details.kind), details.model.as_ref(), details.manufacturer.as_ref()];
    let texts = labels.into_iter().flatten().map(Label::as_str);
    let serial_number = details.serial_number.as_ref().map(SerialNumber::as_str);
    search::key(texts.chain(serial_number).chain(details.location.as_ref().map(Location::as_str)))
}

fn ordering(order: Order<EquipmentKey>) -> Ordering<equipment::table> {
    let direction = order.direction;
    match order.key {
        EquipmentKey::Id => by!(equipment::id, direction),
        EquipmentKey::Name => by!(equipment::name_key, direction),
        EquipmentKey::Kind => by!(equipment::kind_key, direction),
        EquipmentKey::Model => by!(nullable equipment::model_key, direction),
        EquipmentKey::Manufacturer => by!(nullable equipment::manufacturer_key, direction),
        EquipmentKey::SerialNumber => by!(nullable equipment::serial_number_key, direction),
        EquipmentKey::Status => by!(equipment::status, direction),
        EquipmentKey::Location => by!(nullable equipment::location, direction),
        EquipmentKey::InstalledOn => by!(nullable equipment::installed_on, direction),
        EquipmentKey::NextMaintenanceOn => by!(nullable equipment::next_maintenance_on, direction),
        EquipmentKey::CreatedAt => by!(equipment::created_at, direction),
        EquipmentKey::UpdatedAt => by!(equipment::updated_at, direction),
    }
}
