//! Readings on their way in, said in two breaths: all that has to be held and known goes with the beginning of the unit of
//! work, all that is written with its end. The server does one after the other; nobody waits for the answers in between.
//!
//! What is said at once is done in the order in which it is said, and where one thing is refused, so is all that follows: a
//! commit behind it ends the unit of work and stores nothing.

use crate::alert_rows::AlertRow;
use crate::heads::HeadRow;
use crate::link::{Link, Loans};
use crate::statement::Statement;
use crate::{alerts, heads, rules};
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::alerts::Alert;
use domain::ports::{Intake, IntakeNeeds, StoreError, TakenIn, UnitOfWork};
use futures_util::FutureExt;
use futures_util::future::{join, join4};

/// What is more than this is said step by step: it takes long enough for each step to have its own deadline. No more than
/// one row of events comes of that many.
const AT_ONCE: usize = 1000;

/// As prepared as all other statements, and so in line with them: the connection prepares what it says for the first time,
/// and what needs no preparing would overtake it.
const COMMIT: &str = "COMMIT";

impl Loans {
    /// A unit of work that takes readings in.
    pub(crate) async fn begin_intake(&self, needs: IntakeNeeds<'_>) -> Result<(Link, Intake), StoreError> {
        if needs.pieces.len() > AT_ONCE {
            let mut link = self.begin().await?;
            let intake = needs.meet_in(&mut link).await?;
            return Ok((link, intake));
        }
        let mut link = self.read().await?;
        let Found { generation, heads, alerts } = link.open_intake(needs).await?;
        let rules = rules::in_force(&mut link, needs.known_rules, generation).await?;
        let heads = heads::locked(&mut link, heads).await?;
        let alerts = alerts.into_iter().map(Alert::try_from).collect::<Result<_, _>>()?;
        Ok((link, Intake { rules, heads, alerts }))
    }
}

/// What the beginning of an intake comes to.
struct Found {
    generation: Option<i64>,
    heads: Vec<HeadRow>,
    alerts: Vec<AlertRow>,
}

impl Link {
    async fn open_intake(&mut self, needs: IntakeNeeds<'_>) -> Result<Found, StoreError> {
        let (generation, locking) = (rules::generation(), heads::locking(needs.pieces));
        let touching = (!needs.alerts_since.is_empty()).then(|| alerts::touching(needs.alerts_since));
        self.enter_unit();
        self.ask(|connection| {
            let connection: &AsyncPgConnection = connection;
            let (mut first, mut second, mut third, mut fourth) =
                (connection, connection, connection, connection);
            async move {
                let alerts = async {
                    match touching {
                        Some(touching) => touching.load(&mut fourth).await,
                        None => Ok(Vec::new()),
                    }
                };
                let begun = first.batch_execute("BEGIN");
                let (generation, heads) = (generation.get_result(&mut second), locking.load(&mut third));
                let (begun, generation, heads, alerts) = join4(begun, generation, heads, alerts).await;
                begun?;
                Ok(Found { generation: generation?, heads: heads?, alerts: alerts? })
            }
            .boxed()
        })
        .await
    }

    /// Writes and commits.
    pub(crate) async fn finish_intake(mut self: Box<Self>, taken: TakenIn<'_>) -> Result<(), StoreError> {
        // What is appended to the audit trail comes last, when all else is known to be accepted.
        if taken.readings.is_empty() || taken.readings.len() > AT_ONCE || !self.recorded.is_empty() {
            taken.write_in(&mut *self).await?;
            return self.commit().await;
        }
        let inserting = self.inserting(taken.readings).await?;
        let saving = heads::saving(&mut self, taken.heads).await?;
        let announcing = match taken.events {
            [] => None,
            events => Some(self.announcing(events, taken.at).await?),
        };
        self.commit_after([Some(inserting), Some(saving), announcing]).await
    }
}

/// Says these things and then commits, without waiting for answers in between. The first refusal of what is written, and
/// then whether the unit of work has ended.
pub(crate) async fn write_and_commit(
    connection: &AsyncPgConnection,
    [one, two, three]: [Option<Statement<'static>>; 3],
) -> (QueryResult<()>, QueryResult<()>) {
    let say = |statement: Option<Statement<'static>>| async move {
        let mut connection = connection;
        match statement {
            Some(statement) => statement.execute(&mut connection).await.map(drop),
            None => Ok(()),
        }
    };
    // Each is begun in this order.
    let writes = join(say(one), join(say(two), say(three)));
    let ((one, (two, three)), commit) = join(writes, say(Some(Statement::new(COMMIT)))).await;
    (one.and(two).and(three), commit)
}
