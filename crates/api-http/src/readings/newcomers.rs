//! Equipment that comes into the register because it reports.

use domain::access::rights::ManageEquipment;
use domain::access::{Actor, Granted};
use domain::app::ingest::Sent;
use domain::app::{App, newcomers};
use domain::equipment::Reach;
use domain::error::Error;
use domain::text::Label;

/// Whose reports bring equipment into the register, and as what kind. The right may be lost at any time: made anew for every batch.
pub(crate) struct Newcomers {
    by: Granted<ManageEquipment>,
    kind: Label,
}

impl Newcomers {
    /// Those that this caller may bring, of the kind as which the operator wants them, if any.
    pub(crate) fn brought_by(actor: &Actor, kind: Option<&Label>) -> Option<Self> {
        let kind = kind.filter(|_| *actor.reach() == Reach::All)?.clone();
        Some(Self { by: actor.grant().ok()?, kind })
    }

    /// Registers the equipment of these readings as far as it is not there.
    pub(crate) async fn register(&self, app: &App, sent: &[Sent]) -> Result<(), Error> {
        let named = sent.iter().map(|sent| &sent.equipment);
        newcomers::register(app, &self.by, &self.kind, named).await
    }
}
