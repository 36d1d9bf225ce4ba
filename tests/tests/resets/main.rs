//! Clients that vanish: at some point of what they send, or before the answer comes, by a reset. What they asked for is
//! done as a whole or not at all, whoever comes after them is served, and asking again settles it.
//!
//! [`writes`] are the kinds of writes, and what there is to see of each when it is done.

mod writes;

use std::time::{Duration, Instant};
use tests::chance::Chance;
use tests::patience::until;
use tests::raw::vanish;
use tests::wire::{Request, Wire};
use tests::{Backend, Method, Reply, Server, stories};
use writes::{Found, Stage, Write};

/// How often each kind of write is broken off.
const POINTS: usize = 20;

/// How many are served after that.
const HONEST: usize = 100;

/// What is under way when its client vanishes is done by then.
const SETTLED: Duration = Duration::from_secs(10);

stories! {
    async fn what_a_vanishing_client_asked_for_is_done_as_a_whole_or_not_at_all(backend: Backend) {
        let mut chance = Chance::told(&format!("resets, {backend:?}"));
        let server = Server::start(backend).await;
        let stage = Stage::set(&server, POINTS + 1).await;
        let mut wire = Wire::to(&server);
        let mut tally = Vec::new();
        for write in Write::ALL {
            let usual = as_usual(&mut wire, &stage, write).await;
            for number in 1..=POINTS {
                let request = stage.request(write, number).bytes();
                let (sent, after) = broken_off(&mut chance, &request, usual, number);
                vanish(&server, &request[..sent], after).await;
            }
            for _ in 0..HONEST {
                honest(&mut wire, &stage).await;
            }
            let mut done = 0;
            for number in 1..=POINTS {
                let found = settled(&stage, write, number).await;
                done += usize::from(found == Found::All);
                ask_again(&mut wire, &stage, (write, number), &found).await;
            }
            tally.push((write, done));
        }
        stage.expect_consistent().await;
        let all: usize = tally.iter().map(|(_, done)| done).sum();
        assert!(all > 0 && all < POINTS * tally.len(), "one outcome alone shows nothing: {tally:?}");
    }
}

/// How long this write takes when nothing goes wrong. It must be possible to see that it is done.
async fn as_usual(wire: &mut Wire, stage: &Stage, write: Write) -> Duration {
    assert_eq!(stage.look(write, 0).await, Found::Nothing, "{write:?} before it was asked for");
    let asked = Instant::now();
    let reply = answer(wire, &stage.request(write, 0)).await;
    let took = asked.elapsed();
    assert!(reply.status.is_success(), "{write:?} was answered {} {}", reply.status, reply.start());
    assert_eq!(stage.look(write, 0).await, Found::All, "{write:?} after it was done");
    took
}

/// How much of a request is sent, and how long its answer is waited for. Half of the clients vanish in mid-request.
fn broken_off(chance: &mut Chance, request: &[u8], usual: Duration, number: usize) -> (usize, Duration) {
    if number.is_multiple_of(2) {
        return (chance.up_to(request.len() - 1), Duration::ZERO);
    }
    let most = usual.as_micros() as usize * 3 / 2;
    (request.len(), Duration::from_micros(chance.up_to(most) as u64))
}

async fn honest(wire: &mut Wire, stage: &Stage) {
    let request = Request::new(&Method::GET, stage.honest_path()).bearing(stage.token());
    answer(wire, &request).await.expect(200);
}

async fn answer(wire: &mut Wire, request: &Request) -> Reply {
    let reply = wire.ask(request).await;
    reply.unwrap_or_else(|how| panic!("{} {} got no answer: {how}", request.method, request.path()))
}

/// What there is to see of a write once it is over. Something that hangs between all and nothing would stay so.
async fn settled(stage: &Stage, write: Write, number: usize) -> Found {
    let what = format!("number {number} of {write:?} to be whole");
    until(&what, SETTLED, async || match stage.look(write, number).await {
        Found::Torn(_) => None,
        whole @ (Found::All | Found::Nothing) => Some(whole),
    })
    .await
}

/// Whoever lost the answer asks again, and then it is done, once.
async fn ask_again(wire: &mut Wire, stage: &Stage, (write, number): (Write, usize), found: &Found) {
    let request = stage.request(write, number);
    // Other methods have no key by which they are known again: who repeats one changes once more what is as it should be.
    if request.method == Method::POST || *found == Found::Nothing {
        let reply = answer(wire, &request).await;
        assert!(reply.status.is_success(), "{write:?} again was answered {} {}", reply.status, reply.start());
    }
    assert_eq!(stage.look(write, number).await, Found::All, "number {number} of {write:?} in the end");
}
