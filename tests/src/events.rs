//! Server-sent events, read with deadlines: nobody waits for ever for what does not come.

use crate::patience::LONG;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Something that was told on a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An event.
    Event(Event),
    /// A comment, which keeps the link alive and says nothing.
    Comment,
    /// A place in the stream, or how to come back; nothing happened.
    Place,
    /// The server ended the stream.
    End,
}

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Where in the stream it stands, to go on from later.
    pub id: Option<String>,
    /// What kind it is.
    pub name: String,
    /// What it says, as JSON.
    pub data: Value,
}

/// An open stream of events.
pub struct Events {
    /// The last place in the stream that was told.
    pub place: Option<String>,
    answer: reqwest::Response,
    asked: String,
    unread: String,
    pending: VecDeque<Told>,
}

impl Events {
    pub(crate) fn new(answer: reqwest::Response, asked: String) -> Self {
        Self { place: None, answer, asked, unread: String::new(), pending: VecDeque::new() }
    }

    /// The next event. Comments are passed over; if nothing comes, or the stream ends, the test fails.
    pub async fn next(&mut self) -> Event {
        let deadline = Instant::now() + LONG;
        loop {
            match self.told_until(deadline).await {
                Some(Told::Event(event)) => return event,
                Some(Told::Comment | Told::Place) => {}
                Some(Told::End) => panic!("{} ended", self.asked),
                None => panic!("{} told nothing for {LONG:?}", self.asked),
            }
        }
    }

    /// The next event of this name; others are passed over.
    pub async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.name == name {
                return event;
            }
        }
    }

    /// All events up to the one that this is true of, which is the last of them.
    pub async fn up_to(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut told = Vec::new();
        loop {
            let event = self.next().await;
            let done = is_last(&event);
            told.push(event);
            if done {
                return told;
            }
        }
    }

    /// Waits until the stream says where it begins; answers that place.
    pub async fn beginning(&mut self) -> String {
        while self.place.is_none() {
            let told = self.told_until(Instant::now() + LONG).await;
            assert!(told == Some(Told::Place), "{} began with {told:?}", self.asked);
        }
        self.place.clone().unwrap_or_default()
    }

    /// Waits for a comment, passing over events.
    pub async fn comment_within(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while let Some(told) = self.told_until(deadline).await {
            if told == Told::Comment {
                return;
            }
        }
        panic!("{} sent no comment within {limit:?}", self.asked);
    }

    /// Waits until the server ends the stream; answers what it told before.
    pub async fn end_within(&mut self, limit: Duration) -> Vec<Event> {
        let deadline = Instant::now() + limit;
        let mut last = Vec::new();
        loop {
            match self.told_until(deadline).await {
                Some(Told::Event(event)) => last.push(event),
                Some(Told::Comment | Told::Place) => {}
                Some(Told::End) => return last,
                None => panic!("{} did not end within {limit:?} but told {last:?}", self.asked),
            }
        }
    }

    async fn told_until(&mut self, deadline: Instant) -> Option<Told> {
        loop {
            if let Some(told) = self.pending.pop_front() {
                return Some(told);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let chunk = timeout(left, self.answer.chunk()).await.ok()?;
            match chunk.unwrap_or_else(|error| panic!("{} broke off: {error:?}", self.asked)) {
                Some(bytes) => {
                    self.take(std::str::from_utf8(&bytes).expect("events are UTF-8, character by character"));
                }
                None => self.pending.push_back(Told::End),
            }
        }
    }

    fn take(&mut self, text: &str) {
        self.unread.push_str(text);
        while let Some((block, rest)) = self.unread.split_once("\n\n") {
            let (told, place) = read(block);
            self.place = place.or(self.place.take());
            self.pending.push_back(told);
            self.unread = rest.to_owned();
        }
    }
}

/// Reads one block of lines: what it tells, and where in the stream that is.
fn read(block: &str) -> (Told, Option<String>) {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in block.lines().filter(|line| !line.starts_with(':')) {
        let (field, value) =
            line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no line of an event"));
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            "retry" => {}
            _ => panic!("{field} is no field of an event"),
        }
    }
    let place = event.id.clone();
    if data.is_empty() {
        let told = if block.starts_with(':') { Told::Comment } else { Told::Place };
        return (told, place);
    }
    let data = data.join("\n");
    event.data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{data:?} is not JSON: {error}"));
    (Told::Event(event), place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_block_is_an_event_a_comment_or_a_place() {
        let event = Event { id: Some("7-1".into()), name: "values".into(), data: json!({"a": 1}) };
        let place = Some("7-1".to_owned());
        assert_eq!(
            read("id: 7-1\nevent: values\ndata: {\"a\":\ndata: 1}"),
            (Told::Event(event), place.clone())
        );
        assert_eq!(read(":\nid: 7-1"), (Told::Comment, place.clone()));
        assert_eq!(read("retry: 1000\nid: 7-1"), (Told::Place, place));
    }
}
