//! What the operator decided about points.

use domain::access::Granted;
use domain::access::rights::ManageEquipment;
use domain::app::ingest::Sent;
use domain::app::{App, newcomers};
use domain::equipment::Reach;
use domain::error::Error;
use domain::telemetry::OnConflict;
use domain::telemetry::points::Mapping;
use domain::text::Label;

/// What becomes of points.
#[derive(Clone, Debug)]
pub struct PointSettings {
    /// What they mean.
    pub mapping: Mapping,
    /// What to do about a point that says otherwise than what is stored.
    pub on_conflict: OnConflict,
    /// As what kind equipment comes into the register that nobody registered; none keeps it out.
    pub register_as: Option<Label>,
}

impl Default for PointSettings {
    fn default() -> Self {
        Self { mapping: Mapping::default(), on_conflict: OnConflict::Replace, register_as: None }
    }
}

/// Whose reports bring equipment into the register, and as what kind.
#[derive(Clone)]
pub struct Newcomers {
    by: Granted<ManageEquipment>,
    kind: Label,
}

impl Newcomers {
    /// Those that this caller may bring, if the operator wants any.
    pub fn brought_by(actor: &domain::access::Actor, settings: &PointSettings) -> Option<Self> {
        let kind = settings.register_as.clone().filter(|_| *actor.reach() == Reach::All)?;
        Some(Self { by: actor.grant().ok()?, kind })
    }

    /// Registers the equipment of these readings as far as it is not there.
    pub(crate) async fn register(&self, app: &App, sent: &[Sent]) -> Result<(), Error> {
        let named = sent.iter().map(|sent| &sent.equipment);
        newcomers::register(app, &self.by, &self.kind, named).await
    }
}
