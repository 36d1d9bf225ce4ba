//! What the operator decided about points.

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
