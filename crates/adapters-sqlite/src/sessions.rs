//! Signed-in clients, and the account behind a credential.

use crate::among::among;
use crate::errors::dangles;
use crate::lists::{Unprepared, changed, restored, then_by, total};
use crate::roles::permissions_of;
use crate::rows::{SessionRow, user_id};
use crate::schema::{sessions, users};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::{SessionId, UserId};
use domain::page::{Order, Page, PageRequest};
use domain::ports::{Reference, Sessions, StoreError};
use domain::sessions::{Holder, NewSession, Session, SessionKey};
use domain::text::Username;
use domain::time::Timestamp;

#[async_trait]
impl Sessions for Work {
    async fn insert(&mut self, session: &NewSession) -> Result<Session, StoreError> {
        let session = session.clone();
        self.run(move |connection| insert(connection, &session)).await
    }

    async fn bearer(&mut self, id: SessionId) -> Result<Option<(Session, Holder)>, StoreError> {
        self.run(move |connection| bearer(connection, id)).await
    }

    async fn lock(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.hold()?;
        self.run(move |connection| find(connection, id)).await
    }

    async fn advance(
        &mut self,
        id: SessionId,
        generation: i64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        self.run(move |connection| advance(connection, id, generation, at, expires_at)).await
    }

    async fn touch(&mut self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| touch(connection, id, at)).await
    }

    async fn prolong(
        &mut self,
        id: SessionId,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(move |connection| prolong(connection, id, at, expires_at)).await
    }

    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        order: &[Order<SessionKey>],
        page: PageRequest,
    ) -> Result<Page<Session>, StoreError> {
        let order = order.to_vec();
        self.run(move |connection| list(connection, user, now, &order, page)).await
    }

    async fn end(&mut self, user: UserId, id: SessionId) -> Result<bool, StoreError> {
        self.run(move |connection| end(connection, user, id)).await
    }

    async fn end_all(&mut self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        self.run(move |connection| end_all(connection, user, keep)).await
    }

    async fn forget_lapsed(&mut self, now: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.hold()?;
        self.run(move |connection| forget_lapsed(connection, now, most)).await
    }
}

fn insert(connection: &mut SqliteConnection, session: &NewSession) -> Answer<Session> {
    let created_at = session.created_at.micros();
    let row: SessionRow = diesel::insert_into(sessions::table)
        .values((
            sessions::user_id.eq(session.user.get()),
            sessions::generation.eq(1),
            sessions::rotated_at.eq(created_at),
            sessions::created_at.eq(created_at),
            sessions::last_used_at.eq(created_at),
            sessions::expires_at.eq(session.expires_at.micros()),
            sessions::address.eq(session.address.as_deref()),
            sessions::agent.eq(session.agent.as_deref()),
        ))
        .returning(SessionRow::as_returning())
        .get_result(connection)
        .map_err(dangles(Reference::User))?;
    Ok(row.try_into()?)
}

fn find(connection: &mut SqliteConnection, id: SessionId) -> Answer<Option<Session>> {
    let query = sessions::table.find(id.get()).select(SessionRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(Session::try_from).transpose()?)
}

fn bearer(connection: &mut SqliteConnection, id: SessionId) -> Answer<Option<(Session, Holder)>> {
    let found: Option<(SessionRow, Account)> = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(id.get()))
        .select((SessionRow::as_select(), ACCOUNT))
        .first(connection)
        .optional()?;
    let Some((row, account)) = found else {
        return Ok(None);
    };
    Ok(Some((row.try_into()?, holder(connection, account)?)))
}

/// Id, login and whether it is active: what a credential needs to know of the account behind it.
pub(crate) type Account = (i64, String, bool);

/// The columns of an [`Account`].
pub(crate) const ACCOUNT: (users::id, users::username, users::is_active) =
    (users::id, users::username, users::is_active);

/// The account behind a credential, with what it may do at this moment.
pub(crate) fn holder(connection: &mut SqliteConnection, account: Account) -> Answer<Holder> {
    let (id, username, is_active) = account;
    Ok(Holder {
        user: user_id("users", "id", id)?,
        username: Username::restore(username),
        is_active,
        permissions: permissions_of(connection, id)?,
    })
}

/// The generation is compared in the statement that changes it: of two who spend the same one, one finds it spent.
fn advance(
    connection: &mut SqliteConnection,
    id: SessionId,
    generation: i64,
    at: Timestamp,
    expires_at: Timestamp,
) -> Answer<Option<Session>> {
    let current = sessions::table.find(id.get()).filter(sessions::generation.eq(generation));
    let row: Option<SessionRow> = diesel::update(current)
        .set((
            sessions::generation.eq(sessions::generation + 1),
            sessions::rotated_at.eq(at.micros()),
            sessions::last_used_at.eq(at.micros()),
            sessions::expires_at.eq(expires_at.micros()),
        ))
        .returning(SessionRow::as_returning())
        .get_result(connection)
        .optional()?;
    Ok(row.map(Session::try_from).transpose()?)
}

fn touch(connection: &mut SqliteConnection, id: SessionId, at: Timestamp) -> Answer<()> {
    diesel::update(sessions::table.find(id.get()))
        .set(sessions::last_used_at.eq(at.micros()))
        .execute(connection)?;
    Ok(())
}

fn prolong(
    connection: &mut SqliteConnection,
    id: SessionId,
    at: Timestamp,
    expires_at: Timestamp,
) -> Answer<()> {
    diesel::update(sessions::table.find(id.get()))
        .set((sessions::last_used_at.eq(at.micros()), sessions::expires_at.eq(expires_at.micros())))
        .execute(connection)?;
    Ok(())
}

fn list(
    connection: &mut SqliteConnection,
    user: UserId,
    now: Timestamp,
    order: &[Order<SessionKey>],
    page: PageRequest,
) -> Answer<Page<Session>> {
    let living = || {
        sessions::table
            .filter(sessions::user_id.eq(user.get()).and(sessions::expires_at.gt(now.micros())))
            .into_boxed()
    };
    let count: i64 = Unprepared(living().count()).get_result(connection)?;
    let rows: Vec<SessionRow> = Unprepared(
        ordered(living(), order)
            .limit(page.size().into())
            .offset(page.offset())
            .select(SessionRow::as_select()),
    )
    .load(connection)?;
    Ok(Page { total: total(count), items: restored(rows)? })
}

type Boxed<'a> = sessions::BoxedQuery<'a, Sqlite>;

fn ordered<'a>(query: Boxed<'a>, order: &[Order<SessionKey>]) -> Boxed<'a> {
    let by_keys = order.iter().fold(query, |query, Order { key, direction }| match key {
        SessionKey::Id => then_by!(query, sessions::id, direction),
        SessionKey::CreatedAt => then_by!(query, sessions::created_at, direction),
        SessionKey::LastUsedAt => then_by!(query, sessions::last_used_at, direction),
    });
    by_keys.then_order_by(sessions::id.asc())
}

fn end(connection: &mut SqliteConnection, user: UserId, id: SessionId) -> Answer<bool> {
    let own = sessions::table.find(id.get()).filter(sessions::user_id.eq(user.get()));
    Ok(diesel::delete(own).execute(connection)? > 0)
}

fn end_all(connection: &mut SqliteConnection, user: UserId, keep: Option<SessionId>) -> Answer<u64> {
    // Ids start at 1, so 0 keeps none.
    let keep = keep.map_or(0, SessionId::get);
    let others = sessions::table.filter(sessions::user_id.eq(user.get()).and(sessions::id.ne(keep)));
    Ok(changed(diesel::delete(others).execute(connection)?))
}

fn forget_lapsed(connection: &mut SqliteConnection, now: Timestamp, most: u32) -> Answer<u64> {
    let lapsed: Vec<i64> = sessions::table
        .filter(sessions::expires_at.lt(now.micros()))
        .order(sessions::expires_at)
        .limit(most.into())
        .select(sessions::id)
        .load(connection)?;
    let forgotten = sessions::table.filter(among(sessions::id, lapsed));
    Ok(changed(diesel::delete(forgotten).execute(connection)?))
}
