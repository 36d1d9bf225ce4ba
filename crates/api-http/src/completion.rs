//! Work that ends well even if nobody waits for it.

use domain::error::Error;

/// Does the work in a task of its own and waits for it. actix drops a handler when its client goes away; what the
/// handler started must be finished all the same, not left to a connection that died in the middle of a statement.
pub async fn to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Busy("the server is stopping", None)),
        },
    }
}
