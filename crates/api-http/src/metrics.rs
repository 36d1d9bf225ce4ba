//! What the process tells about itself, in the text form that Prometheus reads.
//!
//! [`table`] lists every family of samples once, with its help; `page` writes them, `collect` finds the figures. `requests`
//! counts requests, by `histogram`s; `lookout` knows the state of the database as of a moment ago; `process` asks the
//! kernel about this process.

mod collect;
mod histogram;
mod lookout;
mod page;
mod process;
mod requests;
pub mod table;

pub use collect::collect;
pub use histogram::Histogram;
pub use lookout::Lookout;
pub use requests::{Metrics, Sample};
pub(crate) use requests::{UNKNOWN_METHOD, known_method};
