//! Walking through a list page by page.

use domain::error::Error;
use domain::page::{Page, PageRequest};

/// Everything that `list` answers, asked for in pages of this size.
pub(super) async fn all<T>(
    page_size: u32,
    mut list: impl AsyncFnMut(PageRequest) -> Result<Page<T>, Error>,
) -> Result<Vec<T>, Error> {
    let mut everything = Vec::new();
    for page in (1..).map_while(|number| PageRequest::new(number, page_size)) {
        let items = list(page).await?.items;
        let is_last = items.len() < page_size as usize;
        everything.extend(items);
        if is_last {
            break;
        }
    }
    Ok(everything)
}
