//! What every database of TechTrack promises, as tests.
//!
//! Each promise is one `pub async fn` with a sentence for a name, in a module per concern; [`store_contract!`] turns all
//! of them into tests of one adapter. The table in that macro is the only list: a promise that is not in it is dead code,
//! and dead code does not compile here.
//!
//! An adapter joins by a file of its own, `tests/contract.rs`:
//!
//! ```
//! # use domain::ports::Store;
//! # use std::sync::Arc;
//! struct Fresh(/* the store, and what removes its database on drop */);
//!
//! impl store_contract::Fresh for Fresh {
//!     fn store(&self) -> Arc<dyn Store> {
//!         # unimplemented!()
//!     }
//! }
//!
//! async fn fresh() -> Fresh {
//!     Fresh(/* a new, migrated, empty database */)
//! }
//!
//! store_contract::store_contract!(fresh);
//! # fn main() {}
//! ```
//!
//! What lives elsewhere: the ports and the words of their duties are in [`domain::ports`]; how a backend is set up, broken
//! and torn down is tested in its adapter.
#![deny(dead_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these functions are the bodies of tests: what cannot be set up is a broken promise"
)]

mod builders;
mod database;
mod users;

pub use database::{Database, Fresh, hold};

/// Expands to one `#[tokio::test]` per promise, each over a store of its own that `$fresh` makes: the path of an
/// `async fn() -> impl Fresh`.
#[macro_export]
macro_rules! store_contract {
    ($fresh:path) => {
        $crate::store_contract! { @table tests $fresh }
    };
    (@table $expand:ident $($fresh:path)?) => {
        $crate::store_contract! { @$expand $($fresh)?;
            users {
                a_new_user_has_the_first_version_and_is_found_by_id
                a_user_is_found_by_any_spelling_of_the_login
                a_taken_login_is_named
            }
        }
    };
    (@tests $fresh:path; $($concern:ident { $($promise:ident)* })*) => {$(
        mod $concern {
            #[allow(unused_imports, reason = "the path to the maker may be absolute")]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    $crate::hold($fresh().await, $crate::promises::$concern::$promise).await;
                }
            )*
        }
    )*};
    (@exports; $($concern:ident { $($promise:ident)* })*) => {
        /// Every promise, by concern.
        pub mod promises {$(
            #[allow(missing_docs, reason = "the names of the promises say it")]
            pub mod $concern {
                pub use $crate::$concern::{$($promise),*};
            }
        )*}
    };
}

store_contract! { @table exports }
