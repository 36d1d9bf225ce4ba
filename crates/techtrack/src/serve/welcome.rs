//! What a person who starts the server sees first.

use crate::address::reachable;
use domain::text::{Secret, Username};
use std::net::SocketAddr;

/// Where to look, and the first administrator's password if it was invented just now: it is not kept anywhere else.
pub(super) fn lines(address: SocketAddr, administrator: &Username, generated: Option<&Secret>) -> String {
    let base = format!("http://{}", reachable(address));
    let mut lines = format!("TechTrack serves\n  API      {base}/api/\n  Swagger  {base}/swagger/\n");
    if let Some(password) = generated {
        lines.push_str(&format!(
            "\nThe first administrator was made. This is shown once:\n  login     {administrator}\n  password  {}\n",
            password.reveal()
        ));
    }
    lines
}
