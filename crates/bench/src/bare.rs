//! The limit of every answer over HTTP: actix-web with one handler that answers the same bytes from memory.

use crate::failure::{Outcome, failed};
use crate::http::Connection;
use crate::terminal::say;
use actix_web::web::{Bytes, Data, get};
use actix_web::{App, HttpResponse, HttpServer};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Serves this body at every path, on a port that it tells in its first line.
pub(crate) async fn serve(body: &Path) -> Outcome<()> {
    let body = Bytes::from(std::fs::read(body)?);
    let service = move || {
        let body = Data::new(body.clone());
        App::new().app_data(body).default_service(get().to(answer))
    };
    let server = HttpServer::new(service).workers(workers()).bind((Ipv4Addr::LOCALHOST, 0))?;
    for address in server.addrs() {
        say(&address.to_string());
    }
    Ok(server.run().await?)
}

/// As many as TechTrack has: one a core.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

async fn answer(body: Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body.get_ref().clone())
}

/// A bare server in a process of its own, which ends with this.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    _child: Child,
}

impl Bare {
    /// Starts one that answers this body.
    pub(crate) async fn answering(body: &[u8]) -> Outcome<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), body)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare")
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let told = child.stdout.take().ok_or_else(|| failed("the bare server has no output"))?;
        let first = BufReader::new(told).lines().next_line().await?;
        let address = first.ok_or_else(|| failed("the bare server did not start"))?.parse()?;
        // It has read its file once it accepts.
        Connection::open(address).await?;
        Ok(Self { address, _child: child })
    }
}
