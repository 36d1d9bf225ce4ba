//! Who mentors whom: the column `users.mentor_id`.

use crate::link::Link;
use crate::rows::stamp;
use crate::schema::users;
use crate::users::user_ids;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::id::UserId;
use domain::ports::{Mentorships, StoreError};
use domain::time::Timestamp;

/// The advisory lock of whoever changes mentorships: spells "mentors".
const MENTORSHIPS: i64 = i64::from_be_bytes(*b"\0mentors");

/// Diesel's language has no recursion. CYCLE ends a circle at the first user who comes again.
const ABOVE: &str = "\
    WITH RECURSIVE line (id, height) AS ( \
        SELECT mentor_id, 1 FROM users WHERE id = $1 AND mentor_id IS NOT NULL \
        UNION ALL \
        SELECT users.mentor_id, line.height + 1 FROM line JOIN users USING (id) WHERE users.mentor_id IS NOT NULL \
    ) CYCLE id SET came_again USING trace \
    SELECT id FROM line WHERE NOT came_again ORDER BY height";

#[derive(QueryableByName)]
struct Above {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[async_trait]
impl Mentorships for Link {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold(MENTORSHIPS).await
    }

    async fn above(&mut self, user: UserId) -> Result<Vec<UserId>, StoreError> {
        let line: Vec<Above> = self.all(diesel::sql_query(ABOVE).bind::<BigInt, _>(user.get())).await?;
        user_ids(line.into_iter().map(|above| above.id).collect())
    }

    async fn mentees(&mut self, mentor: UserId) -> Result<Vec<UserId>, StoreError> {
        let mentees =
            users::table.filter(users::mentor_id.eq(mentor.get())).order(users::id).select(users::id);
        user_ids(self.all(mentees).await?)
    }

    async fn release_all(&mut self, mentor: UserId, at: Timestamp) -> Result<Vec<UserId>, StoreError> {
        let released = diesel::update(users::table.filter(users::mentor_id.eq(mentor.get())))
            .set((
                users::mentor_id.eq(None::<i64>),
                users::version.eq(users::version + 1),
                users::updated_at.eq(stamp(at)),
            ))
            .returning(users::id);
        let mut released = user_ids(self.all(released).await?)?;
        released.sort_unstable();
        Ok(released)
    }
}
