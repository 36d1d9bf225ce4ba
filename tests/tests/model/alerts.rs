//! What becomes of alerts under a rule that begins to breach at one value and is over at another: by readings, and by people.

use crate::Model;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tests::plant::Machine;
use tests::{Method, Person, Server, Value, assert_has, json};

const BREACH: i32 = 80;
const CLEAR: i32 = 75;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A temperature.
    Report(i32),
    /// The same reading once more, which is no news.
    Repeat,
    /// Somebody sees to one of the alerts that there were.
    Acknowledge(Index),
    Resolve(Index),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let temperature = prop_oneof![Just(70), Just(CLEAR), Just(78), Just(BREACH), Just(81), Just(95)];
    let step = prop_oneof![
        6 => temperature.prop_map(Step::Report),
        1 => Just(Step::Repeat),
        2 => any::<Index>().prop_map(Step::Acknowledge),
        2 => any::<Index>().prop_map(Step::Resolve),
    ];
    vec(step, 1..30)
}

#[derive(Clone, Debug)]
struct Raised {
    status: &'static str,
    at: String,
    last_seen: String,
    occurrences: i64,
    by_person: bool,
}

pub(crate) struct Alerts {
    machine: Machine,
    /// What was reported last.
    last: Option<Value>,
    latches: bool,
    raised: Vec<Raised>,
}

impl Alerts {
    fn unresolved(&mut self) -> Option<&mut Raised> {
        self.raised.iter_mut().find(|alert| alert.status != "resolved")
    }

    fn report(&mut self, temperature: i32, at: &str) {
        let (at, latches) = (at.to_owned(), self.latches);
        match self.unresolved() {
            Some(alert) if temperature > BREACH => {
                alert.last_seen = at;
                alert.occurrences += 1;
            }
            Some(alert) if temperature <= CLEAR && !latches => alert.status = "resolved",
            None if temperature > BREACH => {
                let alert = Raised {
                    status: "open",
                    at: at.clone(),
                    last_seen: at,
                    occurrences: 1,
                    by_person: false,
                };
                self.raised.push(alert);
            }
            Some(_) | None => {}
        }
    }

    /// The alerts as they are answered, in the order in which they were raised.
    async fn found(&self, admin: &Person) -> Vec<Value> {
        admin.alerts(&format!("equipment={}&page_size=100", self.machine.id)).await
    }

    /// Does something to one of the alerts, if there is one, and answers which and what came of it.
    async fn see_to(&self, admin: &Person, one: &Index, what: &str) -> Option<(usize, u16)> {
        let all = self.found(admin).await;
        if all.is_empty() {
            return None;
        }
        let number = one.index(all.len());
        let path = format!("/api/alerts/{}/{what}", all[number]["id"]);
        Some((number, admin.call(Method::POST, &path).await.status.as_u16()))
    }
}

impl Model for Alerts {
    type Step = Step;

    async fn begin(_: &Server, admin: &Person, number: usize) -> Self {
        let machine = admin.machine_called("Press").await;
        let latches = number.is_multiple_of(2);
        let rule =
            json!({"equipment": machine.id, "threshold": BREACH, "clear_threshold": CLEAR, "latch": latches});
        admin.rule(rule).await;
        Self { machine, last: None, latches, raised: Vec::new() }
    }

    async fn take(&mut self, admin: &Person, step: &Step) {
        match step {
            Step::Report(temperature) => {
                // As of now: whatever people do lies before or behind it.
                let reading = json!({"equipment": self.machine.id, "values": {"temperature": temperature}});
                let reading = admin.post("/api/data", reading).await.expect(201).json;
                self.report(*temperature, reading["timestamp"].as_str().expect("an instant"));
                self.last = Some(reading);
            }
            Step::Repeat => {
                let Some(last) = &self.last else { return };
                let again = json!({
                    "equipment": self.machine.id, "timestamp": last["timestamp"], "values": last["values"],
                });
                admin.post("/api/data", again).await.expect(200);
            }
            Step::Acknowledge(one) => {
                let Some((number, status)) = self.see_to(admin, one, "acknowledge").await else { return };
                let alert = &mut self.raised[number];
                let expected = if alert.status == "resolved" { 409 } else { 200 };
                assert_eq!(status, expected, "to acknowledge {alert:?}");
                if expected == 200 {
                    alert.status = "acknowledged";
                }
            }
            Step::Resolve(one) => {
                let Some((number, status)) = self.see_to(admin, one, "resolve").await else { return };
                let alert = &mut self.raised[number];
                assert_eq!(status, 200, "to resolve {alert:?}");
                alert.by_person |= alert.status != "resolved";
                alert.status = "resolved";
            }
        }
    }

    async fn hold(&self, admin: &Person) {
        let found = self.found(admin).await;
        assert_eq!(found.len(), self.raised.len(), "{:?}", self.raised);
        for (alert, found) in self.raised.iter().zip(&found) {
            let expected = json!({
                "status": alert.status, "timestamp": alert.at, "last_seen_at": alert.last_seen,
                "occurrences": alert.occurrences,
            });
            assert_has(found, expected);
            assert_eq!(found["resolved_by"] == "admin", alert.by_person, "{found}");
        }
        assert!(found.iter().filter(|alert| alert["status"] != "resolved").count() <= 1, "{found:?}");
    }
}
