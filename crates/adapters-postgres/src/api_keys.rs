//! Machines' credentials: `api_keys`, and what each is limited to in `api_key_equipment`.

use crate::link::Link;
use crate::lists::{Ordering, by, effective, numbers};
use crate::rows::{Row, stamp};
use crate::schema::{api_key_equipment, api_keys, users};
use crate::sessions::{HolderRow, holder, restore_holder};
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::auto_type;
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::access::Permission;
use domain::api_keys::{ApiKey, ApiKeyKey, Digest, NewApiKey};
use domain::id::{ApiKeyId, EquipmentId, UserId};
use domain::page::{Order, Page, PageRequest};
use domain::ports::{ApiKeys, StoreError};
use domain::sessions::Holder;
use domain::text::Label;
use domain::time::Timestamp;

#[async_trait]
impl ApiKeys for Link {
    async fn insert(&mut self, key: &NewApiKey) -> Result<ApiKey, StoreError> {
        let row = diesel::insert_into(api_keys::table)
            .values(NewApiKeyRow {
                user_id: key.user.get(),
                name: key.name.as_str(),
                hint: &key.hint,
                digest: &key.digest,
                permissions: key.permissions.iter().map(Permission::name).collect(),
                expires_at: key.expires_at.map(stamp),
                created_at: stamp(key.created_at),
            })
            .returning(ApiKeyRow::as_returning());
        let row: ApiKeyRow = self.the(row).await?;
        let mut equipment: Vec<i64> = key.equipment.iter().map(|id| id.get()).collect();
        equipment.sort_unstable();
        equipment.dedup();
        let limits: Vec<_> = equipment
            .iter()
            .map(|id| (api_key_equipment::api_key_id.eq(row.id), api_key_equipment::equipment_id.eq(*id)))
            .collect();
        if !limits.is_empty() {
            self.run(diesel::insert_into(api_key_equipment::table).values(limits)).await?;
        }
        restore((row, equipment))
    }

    /// One statement with a constant text: it is on the path of every request.
    async fn bearer(&mut self, digest: &Digest) -> Result<Option<(ApiKey, Holder)>, StoreError> {
        let row = api_keys::table
            .inner_join(users::table)
            .filter(api_keys::digest.eq(digest.as_slice()))
            .select((ApiKeyRow::as_select(), equipment(), holder()));
        let Some((key, equipment, holder)) = self.one::<(ApiKeyRow, Vec<i64>, HolderRow), _>(row).await?
        else {
            return Ok(None);
        };
        Ok(Some((restore((key, equipment))?, restore_holder(holder)?)))
    }

    async fn touch(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        let touched =
            diesel::update(api_keys::table.find(id.get())).set(api_keys::last_used_at.eq(stamp(at)));
        self.run(touched).await?;
        Ok(())
    }

    async fn find(&mut self, user: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let row = api_keys::table
            .find(id.get())
            .filter(api_keys::user_id.eq(user.get()))
            .select((ApiKeyRow::as_select(), equipment()));
        self.one(row).await?.map(restore).transpose()
    }

    async fn list(
        &mut self,
        user: UserId,
        order: &[Order<ApiKeyKey>],
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let own = api_keys::table.filter(api_keys::user_id.eq(user.get()));
        let total: i64 = self.the(own.count()).await?;
        let mut rows = own
            .select((ApiKeyRow::as_select(), equipment()))
            .offset(page.offset())
            .limit(i64::from(page.size()))
            .into_boxed();
        for order in effective(order, ApiKeyKey::Id) {
            rows = rows.then_order_by(ordering(order));
        }
        let rows: Vec<LimitedRow> = self.all(rows).await?;
        Ok(Page {
            total: total.unsigned_abs(),
            items: rows.into_iter().map(restore).collect::<Result<_, _>>()?,
        })
    }

    async fn delete(&mut self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        let meant = api_keys::table.find(id.get()).filter(api_keys::user_id.eq(user.get()));
        Ok(self.run(diesel::delete(meant)).await? > 0)
    }
}

fn ordering(order: Order<ApiKeyKey>) -> Ordering<api_keys::table> {
    match order.key {
        ApiKeyKey::Id => by!(api_keys::id, order.direction),
        ApiKeyKey::Name => by!(api_keys::name, order.direction),
        ApiKeyKey::CreatedAt => by!(api_keys::created_at, order.direction),
    }
}

#[derive(Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
struct NewApiKeyRow<'key> {
    user_id: i64,
    name: &'key str,
    hint: &'key str,
    digest: &'key [u8],
    permissions: Vec<&'static str>,
    expires_at: Option<PgTimestamp>,
    created_at: PgTimestamp,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(Pg))]
struct ApiKeyRow {
    id: i64,
    user_id: i64,
    name: String,
    hint: String,
    permissions: Vec<String>,
    expires_at: Option<PgTimestamp>,
    created_at: PgTimestamp,
    last_used_at: Option<PgTimestamp>,
    version: i64,
}

/// A key and what it is limited to.
type LimitedRow = (ApiKeyRow, Vec<i64>);

/// What a key is limited to.
#[auto_type]
fn equipment() -> _ {
    let equipment = api_key_equipment::table
        .filter(api_key_equipment::api_key_id.eq(api_keys::id))
        .order(api_key_equipment::equipment_id)
        .select(api_key_equipment::equipment_id);
    numbers(equipment)
}

fn restore((key, equipment): LimitedRow) -> Result<ApiKey, StoreError> {
    let row = Row { table: "api_keys", key: &key.id };
    let limits = Row { table: "api_key_equipment", key: &key.id };
    let equipment = equipment.into_iter().map(EquipmentId::new).collect();
    Ok(ApiKey {
        id: row.read("id", ApiKeyId::new(key.id))?,
        user: row.read("user_id", UserId::new(key.user_id))?,
        permissions: row.permissions("permissions", &key.permissions)?,
        equipment: limits.read("equipment_id", equipment)?,
        expires_at: row.maybe_instant("expires_at", key.expires_at)?,
        created_at: row.instant("created_at", key.created_at)?,
        last_used_at: row.maybe_instant("last_used_at", key.last_used_at)?,
        version: row.version(key.version)?,
        name: Label::restore(key.name),
        hint: key.hint,
    })
}
