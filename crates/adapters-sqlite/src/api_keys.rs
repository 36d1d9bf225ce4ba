//! Machines' credentials.

use crate::errors::dangles;
use crate::lists::{PART, cut_page, then_by};
use crate::rows::{ApiKeyRow, Place, permissions_column};
use crate::schema::{api_key_equipment, api_keys, users};
use crate::sessions::{ACCOUNT, Account, holder};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::api_keys::{ApiKey, ApiKeyKey, Digest, NewApiKey};
use domain::id::{ApiKeyId, EquipmentId, UserId, Version};
use domain::page::{Order, Page, PageRequest, effective_order};
use domain::ports::{ApiKeys, Reference, StoreError};
use domain::sessions::Holder;
use domain::time::Timestamp;
use std::collections::HashMap;

#[async_trait]
impl ApiKeys for Work {
    async fn insert(&mut self, key: &NewApiKey) -> Result<ApiKey, StoreError> {
        let key = key.clone();
        self.run(move |connection| insert(connection, key)).await
    }

    async fn bearer(&mut self, digest: &Digest) -> Result<Option<(ApiKey, Holder)>, StoreError> {
        let digest = *digest;
        self.run(move |connection| bearer(connection, &digest)).await
    }

    async fn touch(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| touch(connection, id, at)).await
    }

    async fn find(&mut self, user: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.run(move |connection| find(connection, user, id)).await
    }

    async fn list(
        &mut self,
        user: UserId,
        order: &[Order<ApiKeyKey>],
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let order = order.to_vec();
        self.run(move |connection| list(connection, user, &order, page)).await
    }

    async fn delete(&mut self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        self.run(move |connection| delete(connection, user, id)).await
    }
}

fn insert(connection: &mut SqliteConnection, key: NewApiKey) -> Answer<ApiKey> {
    let row: ApiKeyRow = diesel::insert_into(api_keys::table)
        .values((
            api_keys::user_id.eq(key.user.get()),
            api_keys::name.eq(key.name.as_str()),
            api_keys::hint.eq(&key.hint),
            api_keys::digest.eq(key.digest.as_slice()),
            api_keys::permissions.eq(permissions_column(key.permissions)),
            api_keys::expires_at.eq(key.expires_at.map(Timestamp::micros)),
            api_keys::created_at.eq(key.created_at.micros()),
            api_keys::version.eq(Version::FIRST.get()),
        ))
        .returning(ApiKeyRow::as_returning())
        .get_result(connection)
        .map_err(dangles(Reference::User))?;
    let mut equipment = key.equipment;
    equipment.sort_unstable();
    equipment.dedup();
    insert_equipment(connection, row.id, &equipment)?;
    Ok(row.with(equipment)?)
}

fn insert_equipment(connection: &mut SqliteConnection, key: i64, equipment: &[EquipmentId]) -> Answer<()> {
    let row = |id: &EquipmentId| {
        (api_key_equipment::api_key_id.eq(key), api_key_equipment::equipment_id.eq(id.get()))
    };
    for part in equipment.chunks(PART) {
        let rows: Vec<_> = part.iter().map(row).collect();
        diesel::insert_into(api_key_equipment::table).values(rows).execute(connection)?;
    }
    Ok(())
}

fn bearer(connection: &mut SqliteConnection, digest: &Digest) -> Answer<Option<(ApiKey, Holder)>> {
    let found: Option<(ApiKeyRow, Account)> = api_keys::table
        .inner_join(users::table)
        .filter(api_keys::digest.eq(digest.as_slice()))
        .select((ApiKeyRow::as_select(), ACCOUNT))
        .first(connection)
        .optional()?;
    let Some((row, account)) = found else {
        return Ok(None);
    };
    let holder = holder(connection, account)?;
    let key = with_equipment(connection, vec![row])?.pop();
    Ok(key.map(|key| (key, holder)))
}

fn with_equipment(connection: &mut SqliteConnection, rows: Vec<ApiKeyRow>) -> Answer<Vec<ApiKey>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let pairs: Vec<(i64, i64)> = api_key_equipment::table
        .filter(api_key_equipment::api_key_id.eq_any(ids))
        .order(api_key_equipment::equipment_id)
        .select((api_key_equipment::api_key_id, api_key_equipment::equipment_id))
        .load(connection)?;
    let mut lists: HashMap<i64, Vec<EquipmentId>> = HashMap::new();
    for (key, equipment) in pairs {
        let place = Place { table: "api_key_equipment", row: key };
        lists.entry(key).or_default().push(place.sound("equipment_id", EquipmentId::new(equipment))?);
    }
    let with_its_own = |row: ApiKeyRow| {
        let equipment = lists.remove(&row.id).unwrap_or_default();
        row.with(equipment)
    };
    Ok(rows.into_iter().map(with_its_own).collect::<Result<_, _>>()?)
}

fn touch(connection: &mut SqliteConnection, id: ApiKeyId, at: Timestamp) -> Answer<()> {
    diesel::update(api_keys::table.find(id.get()))
        .set(api_keys::last_used_at.eq(at.micros()))
        .execute(connection)?;
    Ok(())
}

fn find(connection: &mut SqliteConnection, user: UserId, id: ApiKeyId) -> Answer<Option<ApiKey>> {
    let own = api_keys::table.find(id.get()).filter(api_keys::user_id.eq(user.get()));
    let rows = own.select(ApiKeyRow::as_select()).load(connection)?;
    Ok(with_equipment(connection, rows)?.pop())
}

fn list(
    connection: &mut SqliteConnection,
    user: UserId,
    order: &[Order<ApiKeyKey>],
    page: PageRequest,
) -> Answer<Page<ApiKey>> {
    let own = || api_keys::table.filter(api_keys::user_id.eq(user.get())).into_boxed();
    let (total, rows) = cut_page!(connection, page, own(), |own| ordered(own, order), ApiKeyRow);
    Ok(Page { total, items: with_equipment(connection, rows)? })
}

type Boxed<'a> = api_keys::BoxedQuery<'a, Sqlite>;

fn ordered<'a>(query: Boxed<'a>, order: &[Order<ApiKeyKey>]) -> Boxed<'a> {
    effective_order(order, ApiKeyKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        ApiKeyKey::Id => then_by!(query, api_keys::id, direction),
        ApiKeyKey::Name => then_by!(query, api_keys::name, direction),
        ApiKeyKey::CreatedAt => then_by!(query, api_keys::created_at, direction),
    })
}

fn delete(connection: &mut SqliteConnection, user: UserId, id: ApiKeyId) -> Answer<bool> {
    let own = api_keys::table.find(id.get()).filter(api_keys::user_id.eq(user.get()));
    Ok(diesel::delete(own).execute(connection)? > 0)
}
