//! Who mentors whom: a column of the users.

use crate::lists::climb;
use crate::schema::users;
use crate::views::ids;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::id::UserId;
use domain::ports::{Mentorships, StoreError};
use domain::time::Timestamp;

#[async_trait]
impl Mentorships for Work {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold()
    }

    async fn above(&mut self, user: UserId) -> Result<Vec<UserId>, StoreError> {
        self.run(move |connection| above(connection, user)).await
    }

    async fn mentees(&mut self, mentor: UserId) -> Result<Vec<UserId>, StoreError> {
        self.run(move |connection| mentees(connection, mentor)).await
    }

    async fn release_all(&mut self, mentor: UserId, at: Timestamp) -> Result<Vec<UserId>, StoreError> {
        self.run(move |connection| release_all(connection, mentor, at)).await
    }
}

/// Climbs step by step: a point read costs microseconds here, and a chain is short.
fn above(connection: &mut SqliteConnection, user: UserId) -> Answer<Vec<UserId>> {
    ids(climb(|user| mentor_of(connection, user), user.get())?)
}

fn mentor_of(connection: &mut SqliteConnection, user: i64) -> QueryResult<Option<i64>> {
    let query = users::table.find(user).select(users::mentor_id);
    Ok(query.first::<Option<i64>>(connection).optional()?.flatten())
}

fn mentees(connection: &mut SqliteConnection, mentor: UserId) -> Answer<Vec<UserId>> {
    let query = users::table.filter(users::mentor_id.eq(mentor.get())).order(users::id).select(users::id);
    ids(query.load(connection)?)
}

fn release_all(connection: &mut SqliteConnection, mentor: UserId, at: Timestamp) -> Answer<Vec<UserId>> {
    let mut released: Vec<i64> = diesel::update(users::table.filter(users::mentor_id.eq(mentor.get())))
        .set((
            users::mentor_id.eq(None::<i64>),
            users::version.eq(users::version + 1),
            users::updated_at.eq(at.micros()),
        ))
        .returning(users::id)
        .get_results(connection)?;
    // RETURNING promises no order.
    released.sort_unstable();
    ids(released)
}
