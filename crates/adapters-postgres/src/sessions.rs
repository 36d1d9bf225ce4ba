//! Signed-in clients: the `sessions` table, and whom a credential stands for.

use crate::link::Link;
use crate::lists::{Ordering, by, effective, texts};
use crate::rows::{Row, count, stamp};
use crate::schema::{role_permissions, sessions, user_roles, users};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::auto_type;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use domain::id::{SessionId, UserId};
use domain::page::{Order, Page, PageRequest};
use domain::ports::{Sessions, StoreError};
use domain::sessions::{Holder, NewSession, Session, SessionKey};
use domain::text::Username;
use domain::time::Timestamp;

/// Whoever goes on with a session meanwhile has it stay.
const FORGET: &str = "\
    DELETE FROM sessions WHERE expires_at < ? AND id = ANY(ARRAY( \
        SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT ?))";

#[async_trait]
impl Sessions for Link {
    async fn insert(&mut self, session: &NewSession) -> Result<Session, StoreError> {
        let created_at = stamp(session.created_at);
        let row = diesel::insert_into(sessions::table)
            .values(NewSessionRow {
                user_id: session.user.get(),
                rotated_at: created_at,
                created_at,
                last_used_at: created_at,
                expires_at: stamp(session.expires_at),
                address: session.address.as_deref(),
                agent: session.agent.as_deref(),
            })
            .returning(SessionRow::as_returning());
        Session::try_from(self.the(row).await?)
    }

    /// One statement with a constant text: it is on the path of every request.
    async fn bearer(&mut self, id: SessionId) -> Result<Option<(Session, Holder)>, StoreError> {
        let row = sessions::table
            .inner_join(users::table)
            .filter(sessions::id.eq(id.get()))
            .select((SessionRow::as_select(), holder()));
        let Some((session, holder)) = self.one::<(SessionRow, HolderRow), _>(row).await? else {
            return Ok(None);
        };
        Ok(Some((Session::try_from(session)?, restore_holder(holder)?)))
    }

    async fn lock(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let row = sessions::table.find(id.get()).select(SessionRow::as_select()).for_update();
        self.one(row).await?.map(Session::try_from).transpose()
    }

    async fn advance(
        &mut self,
        id: SessionId,
        generation: i64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let current = sessions::table.find(id.get()).filter(sessions::generation.eq(generation));
        let row = diesel::update(current)
            .set((
                sessions::generation.eq(sessions::generation + 1),
                sessions::rotated_at.eq(stamp(at)),
                sessions::last_used_at.eq(stamp(at)),
                sessions::expires_at.eq(stamp(expires_at)),
            ))
            .returning(SessionRow::as_returning());
        self.one(row).await?.map(Session::try_from).transpose()
    }

    async fn touch(&mut self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        let touched =
            diesel::update(sessions::table.find(id.get())).set(sessions::last_used_at.eq(stamp(at)));
        self.run(touched).await?;
        Ok(())
    }

    async fn prolong(
        &mut self,
        id: SessionId,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let prolonged = diesel::update(sessions::table.find(id.get()))
            .set((sessions::last_used_at.eq(stamp(at)), sessions::expires_at.eq(stamp(expires_at))));
        self.run(prolonged).await?;
        Ok(())
    }

    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        order: &[Order<SessionKey>],
        page: PageRequest,
    ) -> Result<Page<Session>, StoreError> {
        let living = sessions::table
            .filter(sessions::user_id.eq(user.get()))
            .filter(sessions::expires_at.gt(stamp(now)));
        let total: i64 = self.the(living.count()).await?;
        let mut rows = living
            .select(SessionRow::as_select())
            .offset(page.offset())
            .limit(i64::from(page.size()))
            .into_boxed();
        for order in effective(order, SessionKey::Id) {
            rows = rows.then_order_by(ordering(order));
        }
        let rows = self.all(rows).await?;
        Ok(Page {
            total: total.unsigned_abs(),
            items: rows.into_iter().map(Session::try_from).collect::<Result<_, _>>()?,
        })
    }

    async fn end(&mut self, user: UserId, id: SessionId) -> Result<bool, StoreError> {
        let meant = sessions::table.find(id.get()).filter(sessions::user_id.eq(user.get()));
        Ok(self.run(diesel::delete(meant)).await? > 0)
    }

    async fn end_all(&mut self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        let of_user = sessions::table.filter(sessions::user_id.eq(user.get()));
        // Ids are positive: no session has the id 0.
        let others = of_user.filter(sessions::id.ne(keep.map_or(0, SessionId::get)));
        self.run(diesel::delete(others)).await.map(count)
    }

    async fn forget_lapsed(&mut self, now: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<()>::new(FORGET)
            .bind::<Timestamptz, _>(stamp(now))
            .bind::<BigInt, _>(i64::from(most));
        self.run(forgotten).await.map(count)
    }
}

fn ordering(order: Order<SessionKey>) -> Ordering<sessions::table> {
    match order.key {
        SessionKey::Id => by!(sessions::id, order.direction),
        SessionKey::CreatedAt => by!(sessions::created_at, order.direction),
        SessionKey::LastUsedAt => by!(sessions::last_used_at, order.direction),
    }
}

/// The account behind a credential: id, login, whether it is active, permissions.
pub(crate) type HolderRow = (i64, String, bool, Vec<String>);

/// The columns of a [`HolderRow`].
#[auto_type]
pub(crate) fn holder() -> _ {
    let permissions = user_roles::table
        .inner_join(role_permissions::table.on(role_permissions::role_id.eq(user_roles::role_id)))
        .filter(user_roles::user_id.eq(users::id))
        .select(role_permissions::permission);
    (users::id, users::username, users::is_active, texts(permissions))
}

pub(crate) fn restore_holder(
    (id, username, is_active, permissions): HolderRow,
) -> Result<Holder, StoreError> {
    let row = Row { table: "users", key: &id };
    let roles = Row { table: "role_permissions", key: &id };
    Ok(Holder {
        user: row.read("id", UserId::new(id))?,
        username: Username::restore(username),
        is_active,
        permissions: roles.permissions("permission", &permissions)?,
    })
}

#[derive(Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct NewSessionRow<'session> {
    user_id: i64,
    rotated_at: PgTimestamp,
    created_at: PgTimestamp,
    last_used_at: PgTimestamp,
    expires_at: PgTimestamp,
    address: Option<&'session str>,
    agent: Option<&'session str>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(Pg))]
struct SessionRow {
    id: i64,
    user_id: i64,
    generation: i64,
    rotated_at: PgTimestamp,
    created_at: PgTimestamp,
    last_used_at: PgTimestamp,
    expires_at: PgTimestamp,
    address: Option<String>,
    agent: Option<String>,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(session: SessionRow) -> Result<Self, StoreError> {
        let row = Row { table: "sessions", key: &session.id };
        Ok(Self {
            id: row.read("id", SessionId::new(session.id))?,
            user: row.read("user_id", UserId::new(session.user_id))?,
            generation: session.generation,
            rotated_at: row.instant("rotated_at", session.rotated_at)?,
            created_at: row.instant("created_at", session.created_at)?,
            last_used_at: row.instant("last_used_at", session.last_used_at)?,
            expires_at: row.instant("expires_at", session.expires_at)?,
            address: session.address,
            agent: session.agent,
        })
    }
}
