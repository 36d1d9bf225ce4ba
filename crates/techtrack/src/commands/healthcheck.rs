//! `techtrack healthcheck`: asks a server on this machine whether it is ready, for containers that have no `curl`.

use crate::address::reachable;
use crate::failure::Failure;
use crate::terminal;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds when the server that listens there says that it is ready.
pub(crate) fn run(listen: SocketAddr) -> Result<(), Failure> {
    let address = reachable(listen);
    let status = ask(address)
        .map_err(|error| Failure::while_doing(format!("no answer from http://{address}"), &error))?;
    if status != "200" {
        return Err(Failure::failed(format!("the server at http://{address} answers {status}: not ready")));
    }
    Ok(terminal::print("ready")?)
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
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
        run(address).unwrap();
        assert!(server.join().unwrap().starts_with("GET /health/ready HTTP/1.1\r\n"));
    }

    #[test]
    fn a_draining_server_or_a_stranger_fails() {
        let (draining, _) = server("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert!(run(draining).unwrap_err().to_string().contains("503"));
        let (stranger, _) = server("SSH-2.0-OpenSSH_9.2\r\n");
        assert!(run(stranger).unwrap_err().to_string().contains("no HTTP server"));
    }

    #[test]
    fn nobody_there_fails() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(run(free).unwrap_err().to_string().starts_with("no answer from"));
    }
}
