//! The authorisation matrix: every operation of the OpenAPI document × every kind of caller × one's own thing, somebody
//! else's, one that is not there. Each cell is asked of a running server and compared with the committed table,
//! `tests/authorisation.matrix`; beside that, what must hold whatever the table says is judged from the document alone.
//!
//! `UPDATE_MATRIX=1 cargo nextest run -p tests --test authorisation` writes the table anew; read its diff with care.
//!
//! [`cast`] makes callers and the things they reach for, [`requests`] paths and bodies, [`table`] the text.

mod cast;
mod requests;
mod table;

use cast::{Caller, Cast, Target};
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use table::Table;
use tests::openapi::{Document, Operation};
use tests::{Backend, Method, Server, stories};

/// What strangers may call. An operation that becomes public, or ceases to be, must be moved here by hand.
const PUBLIC: [&str; 16] = [
    "explain_problem",
    "influx_health",
    "list_resources",
    "live",
    "log_in",
    "metrics",
    "obtain_tokens",
    "openapi_document",
    "ping",
    "public_keys",
    "ready",
    "refresh_tokens",
    "register",
    "swagger_file",
    "swagger_page",
    "verify_token",
];

/// One's own next password takes the current one, so nobody resets their own, whatever they hold.
const FOR_OTHERS_ONLY: &str = "reset_password";

/// Reads that show somebody else's name to whoever lacks the permission to see more.
const SHOWS_NAMES: [&str; 3] = ["get_user", "list_mentees", "list_users"];

/// Servers at work at the same time.
const SIDE_BY_SIDE: usize = 3;

stories! {
    async fn every_cell_is_as_committed_and_as_the_document_demands(backend: Backend) {
        let columns = stream::iter(Caller::ALL).map(|caller| column(backend, caller));
        let columns: Vec<Column> = columns.buffer_unordered(SIDE_BY_SIDE).collect().await;
        let mut table = Table::default();
        for column in &columns {
            for operation in column.server.document.operations() {
                for target in Target::of(operation) {
                    let status = column.cells[&(operation.id.clone(), target)];
                    table.fill(operation, target, column.caller, status);
                    column.judge(operation, target, status);
                }
            }
        }
        table.compare(backend);
    }

    async fn strangers_may_call_what_is_listed_here_and_nothing_else(backend: Backend) {
        let server = Server::start(backend).await;
        let public = server.document.operations().iter().filter(|operation| operation.is_public());
        let public: BTreeSet<&str> = public.map(|operation| operation.id.as_str()).collect();
        assert_eq!(public, BTreeSet::from(PUBLIC));
    }
}

/// All that one kind of caller gets.
struct Column {
    caller: Caller,
    server: Server,
    permissions: BTreeSet<String>,
    cells: BTreeMap<(String, Target), u16>,
}

/// Asks for every cell of a column on a server of its own.
async fn column(backend: Backend, caller: Caller) -> Column {
    let server = Server::start(backend).await;
    let mut cells = BTreeMap::new();
    let mut cast = Cast::new(&server, caller).await;
    for operation in server.document.operations() {
        for target in Target::of(operation) {
            cells.insert((operation.id.clone(), target), cast.play(operation, target).await);
        }
    }
    let permissions = cast.permissions().await;
    drop(cast);
    Column { caller, server, permissions, cells }
}

impl Column {
    /// What must hold for a cell, by what the document says of the operation.
    fn judge(&self, operation: &Operation, target: Target, status: u16) {
        let cell = format!("{} of {target:?} by {:?} was answered {status}", operation.id, self.caller);
        let done = (200..300).contains(&status);
        if operation.is_public() {
            assert!(!matches!(status, 401 | 403), "{cell}, but it is public");
            return;
        }
        if self.caller.is_nobody() {
            assert_eq!(status, 401, "{cell}, but the credential is good for nothing");
            return;
        }
        assert_ne!(status, 401, "{cell}, but the credential is good");
        if operation.note("x-requires") == Some("person") && self.caller.is_machine() {
            assert_eq!(status, 403, "{cell}, but it takes a person");
        }
        let needed: Vec<&str> =
            ["x-permission", "x-permission-too"].iter().filter_map(|note| operation.note(note)).collect();
        if needed.is_empty() {
            return;
        }
        let lacks = needed.iter().any(|needed| !self.permissions.contains(*needed));
        // Keys act on nobody's behalf on the account of their owner.
        let of_owner = self.caller.is_machine() && operation.method != Method::GET;
        let refused_to_oneself = target == Target::Own && (operation.id == FOR_OTHERS_ONLY || of_owner);
        if !lacks && !refused_to_oneself && self.caller != Caller::FarKey {
            assert_ne!(status, 403, "{cell}, but the caller holds {needed:?}");
        }
        let limited = operation.note("x-otherwise").is_none();
        if lacks && limited {
            assert_eq!(status, 403, "{cell}, but the caller lacks one of {needed:?}");
        }
        if lacks && target != Target::Own && !SHOWS_NAMES.contains(&operation.id.as_str()) {
            assert!(!done, "{cell}, but the caller lacks one of {needed:?}");
        }
        if self.caller == Caller::FarKey && target == Target::Other && is_of_one_machine(operation) {
            assert_eq!(status, 404, "{cell}, but the key does not reach it");
        }
    }
}

/// Whether it is about a machine or something that hangs on one.
fn is_of_one_machine(operation: &Operation) -> bool {
    ["/api/equipment/{", "/api/data/{", "/api/alerts/{"]
        .iter()
        .any(|prefix| operation.path.starts_with(prefix))
}

/// The schema of an operation's JSON body, if it reads one.
fn body_schema<'a>(document: &'a Document, operation: &'a Operation) -> Option<&'a serde_json::Value> {
    let schema = operation.json["requestBody"]["content"]["application/json"].get("schema")?;
    Some(document.schemas().resolve(schema))
}
