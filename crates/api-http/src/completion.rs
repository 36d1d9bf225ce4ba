//! Work that ends well even if nobody waits for it.

use crate::traces::carried;
use domain::error::Error;

use tokio::task::JoinHandle;

/// Does the work in a task of its own and waits for it. actix drops a handler when its client goes away; what the
/// handler started must be finished all the same, not left to a connection that died in the middle of a statement.
pub async fn to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    start(work).outcome().await
}

/// Work under way in a task of its own. It goes on when nobody waits for it.
pub struct Started<T>(JoinHandle<Result<T, Error>>);

/// Begins the work at once.
pub fn start<T: Send + 'static>(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Started<T> {
    Started(tokio::spawn(carried(work)))
}

impl<T> Started<T> {
    /// Waits for the end of the work.
    pub async fn outcome(self) -> Result<T, Error> {
        match self.0.await {
            Ok(outcome) => outcome,
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Ended from outside, in the middle of it.
                Err(_) => Err(Error::OutcomeUnknown),
            },
        }
    }
}
