//! `techtrack healthcheck`: asks a server on this machine whether it is ready, for containers that have no `curl`.

use crate::address::{Reached, reachable};
use crate::config::Http;
use crate::failure::Failure;
use crate::terminal;
use adapters_security::to_own_server;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds when the server that listens there says that it is ready.
pub(crate) fn run(http: &Http) -> Result<(), Failure> {
    ready(http.listen, http.tls_cert.is_some())?;
    Ok(terminal::print("ready")?)
}

fn ready(listen: SocketAddr, speaks_tls: bool) -> Result<(), Failure> {
    let base = Reached::at(listen, speaks_tls).base;
    let status = ask(reachable(listen), speaks_tls);
    let status = status.map_err(|error| Failure::while_doing(format!("no answer from {base}"), &error))?;
    if status != "200" {
        return Err(Failure::failed(format!("the server at {base} answers {status}: not ready")));
    }
    Ok(())
}

fn ask(address: SocketAddr, speaks_tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if speaks_tls { ask_over(to_own_server(stream)?, address) } else { ask_over(stream, address) }
}

fn ask_over(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = str::from_utf8(&head).ok().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    status.map(str::to_owned).ok_or_else(|| io::Error::other("that is no HTTP server"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Answers one connection and tells what it was asked.
    fn server(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, server)
    }

    #[test]
    fn a_ready_server_passes_and_is_asked_at_the_right_place() {
        let (address, server) = server("HTTP/1.1 200 OK\r\n\r\n");
        ready(address, false).unwrap();
        assert!(server.join().unwrap().starts_with("GET /health/ready HTTP/1.1\r\n"));
    }

    #[test]
    fn a_draining_server_or_a_stranger_fails() {
        let (draining, _) = server("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert!(ready(draining, false).unwrap_err().to_string().contains("503"));
        let (stranger, _) = server("SSH-2.0-OpenSSH_9.2\r\n");
        assert!(ready(stranger, false).unwrap_err().to_string().contains("no HTTP server"));
    }

    #[test]
    fn nobody_there_fails() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ready(free, false).unwrap_err().to_string().starts_with("no answer from"));
    }
}
