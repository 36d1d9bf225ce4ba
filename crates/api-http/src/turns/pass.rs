//! The turn of one request, kept beside it from the gate to the answer.

use super::{Caller, Class, Turn, Turns};
use crate::documented::{Described, Documented};
use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::FutureExt;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The turn of one request. Clones are handles on the same turn.
#[derive(Clone)]
pub struct Pass(Rc<Held>);

struct Held {
    turns: Arc<Turns>,
    class: Cell<Class>,
    turn: Cell<Option<Turn>>,
    /// Bytes of a large body.
    bytes: Cell<usize>,
    /// How long the client was waited for, and the next turn.
    aside: Cell<Duration>,
}

impl Pass {
    /// Takes a turn in the line of this class.
    pub async fn take(turns: &Arc<Turns>, class: Class) -> Result<Self, Problem> {
        let turn = Cell::new(Some(turns.take(class).await?));
        let (turns, class) = (Arc::clone(turns), Cell::new(class));
        Ok(Self(Rc::new(Held { turns, class, turn, bytes: Cell::new(0), aside: Cell::default() })))
    }

    /// That of a request; none if it came by another way than through the gate.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Takes the turn away, to be kept for longer than the request lasts.
    pub fn keep(&self) -> Option<Turn> {
        self.0.turn.take()
    }

    /// Holds the turn against its caller, if it is one that may be kept for as long as the client likes to take.
    pub fn charge(&self, caller: impl FnOnce() -> Caller) -> Result<(), Problem> {
        let class = self.0.class.get();
        if !class.is_kept() {
            return Ok(());
        }
        if let Some(turn) = self.0.turn.take() {
            self.0.turn.set(Some(self.0.turns.charge(class, turn, caller())?));
        }
        Ok(())
    }

    /// A turn to look something small up, where those whose turn it is are more than there are connections.
    pub async fn glance(&self) -> Result<Option<Turn>, Problem> {
        if !self.0.class.get().is_crowd() {
            return Ok(None);
        }
        self.0.turns.take(Class::LookUp).await.map(Some)
    }

    /// A place for an answer that is on its way for as long as its client likes to take.
    pub fn place_for_answer(&self, caller: Caller) -> Result<Turn, Problem> {
        let line = self.0.turns.line(Class::Answer);
        let turn = line.take().now_or_never().flatten().ok_or(Problem::Crowded(Class::Answer.name()))?;
        self.0.turns.charge(Class::Answer, turn, caller)
    }

    /// Gives back what is held.
    pub fn end(&self) {
        self.0.turn.take();
        self.0.let_go();
    }

    /// Waits for something that the client has to do. Unless that is done already the turn is given back meanwhile.
    pub async fn aside<T>(&self, waited_for: impl Future<Output = T>) -> Result<T, Problem> {
        let mut waited_for = pin!(waited_for);
        if let Some(done) = waited_for.as_mut().now_or_never() {
            return Ok(done);
        }
        self.0.turn.take();
        let since = Instant::now();
        let done = waited_for.await;
        self.0.aside.set(self.0.aside.get() + since.elapsed());
        self.line_up(self.0.class.get()).await?;
        Ok(done)
    }

    /// How long it was nobody's turn, because of the client or in lines: what was found out about the caller is older by that.
    pub fn stood_aside(&self) -> Duration {
        self.0.aside.get()
    }

    /// Goes over to another line.
    pub async fn change_to(&self, class: Class) -> Result<(), Problem> {
        if self.0.class.get() == class { Ok(()) } else { self.line_up(class).await }
    }

    /// Gives the turn back and takes another of the same line behind those who wait there. Whoever has begun waits for as long as
    /// it takes.
    pub async fn let_others_by(&self) {
        self.0.turn.take();
        self.0.turn.set(self.0.turns.wait(self.0.class.get()).await);
    }

    async fn line_up(&self, class: Class) -> Result<(), Problem> {
        self.0.turn.take();
        self.0.class.set(class);
        let since = Instant::now();
        self.0.turn.set(Some(self.0.turns.take(class).await?));
        self.0.aside.set(self.0.aside.get() + since.elapsed());
        Ok(())
    }

    /// Takes room for this much more of a large body, until the request is over.
    pub fn hold(&self, bytes: usize) -> Result<(), Problem> {
        self.0.turns.hold(bytes)?;
        self.0.bytes.set(self.0.bytes.get() + bytes);
        Ok(())
    }
}

/// The pass of the request, for who goes on in another line.
pub struct Onward(Option<Pass>);

impl Onward {
    /// Goes over to another line.
    pub async fn change_to(&self, class: Class) -> Result<(), Problem> {
        match &self.0 {
            Some(pass) => pass.change_to(class).await,
            None => Ok(()),
        }
    }

    /// Gives the turn back between two portions of work, and takes another behind those who wait.
    pub async fn let_others_by(&self) {
        if let Some(pass) = &self.0 {
            pass.let_others_by().await;
        }
    }
}

impl FromRequest for Onward {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(Pass::of(request))))
    }
}

impl Documented for Onward {
    fn describe(_: &mut Described) {}
}

impl Held {
    fn let_go(&self) {
        self.turns.let_go(self.bytes.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    async fn writing() -> (Arc<Turns>, Pass) {
        let turns = Turns::among(4);
        let pass = Pass::take(&turns, Class::Write).await.unwrap();
        assert_eq!(turns.line(Class::Write).at_work(), 1);
        (turns, pass)
    }

    #[tokio::test]
    async fn what_is_there_already_is_had_without_losing_the_turn() {
        let (turns, pass) = writing().await;
        let other = turns.take(Class::Write);
        let done = async { turns.line(Class::Write).at_work() };
        assert_eq!(pass.aside(done).await.unwrap(), 1);
        assert_eq!(pass.stood_aside(), Duration::ZERO);
        assert!(other.now_or_never().is_none(), "nobody else got it in between");
    }

    #[tokio::test]
    async fn whoever_waits_for_their_client_holds_nothing_up() {
        let (turns, pass) = writing().await;
        let (client, body) = oneshot::channel();
        let mut waiting = Box::pin(pass.aside(body));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(turns.line(Class::Write).at_work(), 0);
        let other = turns.take(Class::Write).await.unwrap();
        client.send(7).unwrap();
        assert!(waiting.as_mut().now_or_never().is_none(), "it is somebody else's turn");
        drop(other);
        assert_eq!(waiting.await.unwrap(), Ok(7));
        assert_eq!(turns.line(Class::Write).at_work(), 1);
    }

    #[tokio::test]
    async fn whoever_comes_back_to_a_line_that_stands_is_turned_away() {
        let (turns, pass) = writing().await;
        tokio::time::pause();
        let (client, body) = oneshot::channel();
        let mut waiting = Box::pin(pass.aside(body));
        assert!(waiting.as_mut().now_or_never().is_none());
        let _other = turns.take(Class::Write).await.unwrap();
        client.send(7).unwrap();
        let outcome = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
        assert!(matches!(outcome, Err(Problem::Crowded("write"))));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_how_long_the_client_was_waited_for() {
        let (_, pass) = writing().await;
        pass.aside(tokio::time::sleep(Duration::from_secs(2))).await.unwrap();
        pass.aside(tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
        assert_eq!(pass.stood_aside().as_secs(), 3);
    }

    #[tokio::test]
    async fn another_line_is_joined_in_place_of_the_first() {
        let (turns, pass) = writing().await;
        pass.change_to(Class::Batch).await.unwrap();
        let at_work = [Class::Write, Class::Batch].map(|class| turns.line(class).at_work());
        assert_eq!(at_work, [0, 1]);
    }

    #[tokio::test]
    async fn who_waits_comes_in_between_two_portions_of_work() {
        let (turns, pass) = writing().await;
        let mut other = Box::pin(turns.take(Class::Write));
        assert!(other.as_mut().now_or_never().is_none());
        let mut going_on = Box::pin(pass.let_others_by());
        assert!(going_on.as_mut().now_or_never().is_none());
        drop(other.await.unwrap());
        going_on.await;
        assert_eq!(turns.line(Class::Write).at_work(), 1);
    }

    fn somebody() -> Caller {
        Caller::of(None, &domain::access::Origin::default())
    }

    #[tokio::test]
    async fn nobody_keeps_more_than_a_quarter_of_what_may_be_kept() {
        let turns = Turns::among(16);
        for class in Class::ALL.into_iter().filter(|class| class.is_kept()) {
            let places = turns.line(class).places();
            let mut kept = Vec::new();
            let refusal = loop {
                let pass = Pass::take(&turns, class).await.unwrap();
                match pass.charge(somebody) {
                    Ok(()) => kept.push(pass.keep().unwrap()),
                    Err(problem) => break problem,
                }
            };
            assert_eq!((kept.len(), turns.line(class).at_work()), (places / 4, places / 4));
            assert!(matches!(refusal, Problem::Greedy(name) if name == class.name()), "{refusal:?}");
            assert_eq!(turns.line(class).turned_away(), 1);
            kept.pop();
            assert!(Pass::take(&turns, class).await.unwrap().charge(somebody).is_ok());
        }
    }

    #[tokio::test]
    async fn what_ends_by_itself_is_not_held_against_anybody() {
        let (_, pass) = writing().await;
        pass.charge(|| panic!("asked who calls")).unwrap();
    }

    #[tokio::test]
    async fn nothing_is_held_after_the_end() {
        let (turns, pass) = writing().await;
        pass.hold(1000).unwrap();
        pass.end();
        assert_eq!(turns.line(Class::Write).at_work(), 0);
        pass.hold(1000).unwrap();
        drop(pass);
        assert_eq!(turns.held.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
