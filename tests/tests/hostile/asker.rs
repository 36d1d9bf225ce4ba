//! Asks, holds each answer against what all answers owe, and goes on: whoever sends a thousand things wants to know of all
//! that went wrong.

use tests::wire::{Request, Wire};
use tests::{Method, Person, Reply, Server, conformance};

/// Breaches that are told in full.
const TOLD: usize = 25;

/// Somebody who may do everything, on a connection that is kept.
pub(crate) struct Asker {
    wire: Wire,
    admin: Person,
    asked: usize,
    breaches: Vec<String>,
}

impl Asker {
    /// The administrator of this number: who logs out must not take others along.
    pub(crate) async fn new(server: &Server, number: usize) -> Self {
        let admin = server.holder_of(&format!("boss-{number}"), &["ADMIN"]).await;
        Self { wire: Wire::to(server), admin, asked: 0, breaches: Vec::new() }
    }

    /// The answer, if there is one. What it breaks is remembered, with what was sent that is worth telling.
    pub(crate) async fn ask(&mut self, server: &Server, request: Request, sent: &[u8]) -> Option<Reply> {
        let request = if request.is_authenticated() { request } else { request.bearing(self.admin.token()) };
        self.asked += 1;
        let answer = self.wire.ask(&request).await;
        let reply = match answer {
            Ok(reply) => reply,
            Err(how) => {
                self.breach(&request, sent, &how);
                return None;
            }
        };
        let path = request.path();
        for breach in conformance::breaches(&server.document, &request.method, &path, true, &reply) {
            self.breach(&request, sent, &format!("{} {}: {breach}", reply.status, start(&reply.bytes)));
        }
        let has_left = reply.status == 204 && path.starts_with("/api/logout");
        if has_left {
            self.admin = self.admin.signed_in_again(server).await;
        }
        Some(reply)
    }

    /// As [`Asker::ask`], for what must be refused.
    pub(crate) async fn ask_in_vain(&mut self, server: &Server, request: Request, sent: &[u8]) {
        let asked = request.clone();
        if let Some(reply) = self.ask(server, request, sent).await
            && !reply.status.is_client_error()
        {
            self.breach(&asked, sent, &format!("was let through with {}", reply.status));
        }
    }

    pub(crate) fn breach(&mut self, request: &Request, sent: &[u8], what: &str) {
        self.breaches.push(format!(
            "{} {} with {}: {what}",
            request.method,
            start(&request.target),
            start(sent)
        ));
    }

    /// Fails the test if anything went wrong, or if an honest request is not served now, or the log tells of a panic.
    pub(crate) async fn finish(mut self, server: &Server, honest: &str) {
        self.ask(server, Request::new(&Method::GET, honest), b"nothing bad")
            .await
            .expect("an answer")
            .expect(200);
        assert!(!server.log().contains("panicked"), "the log tells of a panic");
        let (asked, count) = (self.asked, self.breaches.len());
        self.breaches.truncate(TOLD);
        assert!(count == 0, "{count} breaches in {asked} answers:\n- {}", self.breaches.join("\n- "));
        assert!(asked > 100, "{asked} requests are no corpus");
    }
}

fn start(bytes: &[u8]) -> String {
    let text: String = bytes.escape_ascii().to_string().chars().take(300).collect();
    if bytes.len() > 300 { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}
