//! Promises about machines' credentials.

use crate::Database;
use crate::builders::{a_digest, a_role, a_user, an_api_key, at, down, login, nobody, page, permissions, up};
use domain::access::{Permission, Permissions};
use domain::api_keys::{ApiKey, ApiKeyKey, NewApiKey};
use domain::id::{ApiKeyId, EquipmentId, UserId, Version};
use domain::page::{Order, PageRequest};
use domain::ports::{Reference, StoreError, Unique};
use domain::roles::NewRole;
use domain::sessions::Holder;
use domain::text::Label;
use domain::time::Timestamp;

fn equipment(numbers: &[i64]) -> Vec<EquipmentId> {
    numbers.iter().map(|number| EquipmentId::new(*number).unwrap()).collect()
}

async fn stored(database: &Database, key: &ApiKey) -> Option<ApiKey> {
    database.reader().await.api_keys().find(key.user, key.id).await.unwrap()
}

pub async fn every_field_of_a_new_key_round_trips_at_its_greatest_length(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let new = NewApiKey {
        user: anna,
        name: Label::parse(&"🔑".repeat(100)).unwrap(),
        hint: "ttk_0123".into(),
        digest: [0; 32],
        permissions: Permissions::all(),
        equipment: equipment(&[1, 7, i64::MAX]),
        expires_at: Some(Timestamp::MAX),
        created_at: at(5),
    };
    let key = database.insert_api_key(&new).await;
    let expected = ApiKey {
        id: key.id,
        user: anna,
        name: new.name,
        hint: new.hint,
        permissions: new.permissions,
        equipment: new.equipment,
        expires_at: new.expires_at,
        created_at: at(5),
        last_used_at: None,
        version: Version::FIRST,
    };
    assert_eq!(key, expected);
    assert_eq!(stored(&database, &key).await.as_ref(), Some(&expected));
    let (borne, _) = database.reader().await.api_keys().bearer(&[0; 32]).await.unwrap().unwrap();
    assert_eq!(borne, expected);
}

pub async fn a_key_may_have_no_limits_at_all(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let key = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    let found = stored(&database, &key).await.unwrap();
    assert_eq!((found.expires_at, found.last_used_at), (None, None));
    assert!(found.equipment.is_empty() && found.permissions.is_empty());
}

pub async fn the_equipment_of_a_key_is_answered_by_id(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let shuffled = NewApiKey { equipment: equipment(&[10, 9, 100]), ..an_api_key(anna, "press", 1) };
    let key = database.insert_api_key(&shuffled).await;
    database.insert_api_key(&NewApiKey { equipment: equipment(&[5]), ..an_api_key(anna, "other", 2) }).await;
    assert_eq!(key.equipment, equipment(&[9, 10, 100]));
    assert_eq!(stored(&database, &key).await, Some(key.clone()));
    assert_eq!(listed(&database, anna, &[]).await, ["press", "other"]);
    let mut reader = database.reader().await;
    let list = reader.api_keys().list(anna, &[], PageRequest::default()).await.unwrap();
    assert_eq!(list.items.first(), Some(&key));
}

pub async fn a_key_name_is_taken_among_its_owners_keys_alone(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    let press = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    database.insert_api_key(&an_api_key(ben, "press", 2)).await;
    let again = an_api_key(anna, "press", 3);
    let refusal = database.refusal(async |unit| unit.api_keys().insert(&again).await).await;
    assert!(matches!(refusal, StoreError::Conflict(Unique::ApiKeyName)), "{refusal:?}");
    database.within(async |unit| unit.api_keys().delete(anna, press.id).await.unwrap()).await;
    database.insert_api_key(&again).await;
}

pub async fn a_key_of_nobody_dangles(database: Database) {
    let refusal =
        database.refusal(async |unit| unit.api_keys().insert(&an_api_key(nobody(), "press", 1)).await).await;
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
}

pub async fn a_key_is_found_by_its_whole_digest(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let press = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    let mut nearly = a_digest(1);
    nearly[31] = 2;
    let mut reader = database.reader().await;
    let (found, holder) = reader.api_keys().bearer(&a_digest(1)).await.unwrap().unwrap();
    assert_eq!((found, holder.user), (press, anna));
    assert_eq!(reader.api_keys().bearer(&nearly).await.unwrap(), None);
}

pub async fn a_key_answers_with_its_owners_permissions_of_this_moment(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    let held = permissions(&[Permission::DataWrite, Permission::DataRead]);
    let role = database.insert_role(&NewRole { permissions: held, ..a_role("WRITER") }).await.id;
    database.assign(anna, role).await;
    let holder = async || database.reader().await.api_keys().bearer(&a_digest(1)).await.unwrap().unwrap().1;
    let expected = Holder { user: anna, username: login("anna"), is_active: true, permissions: held };
    assert_eq!(holder().await, expected);
    database.within(async |unit| unit.roles().unassign(anna, role).await.unwrap()).await;
    assert_eq!(holder().await, Holder { permissions: Permissions::NONE, ..expected });
}

pub async fn a_key_notes_when_it_was_used(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let press = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    let other = database.insert_api_key(&an_api_key(anna, "other", 2)).await;
    let unknown = ApiKeyId::new(i64::MAX).unwrap();
    for id in [press.id, unknown] {
        database.within(async |unit| unit.api_keys().touch(id, at(60)).await.unwrap()).await;
    }
    assert_eq!(stored(&database, &press).await.unwrap().last_used_at, Some(at(60)));
    assert_eq!(stored(&database, &other).await, Some(other));
}

pub async fn a_key_is_found_and_revoked_by_its_owner_alone(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    let press = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    let kept = database.insert_api_key(&an_api_key(anna, "kept", 2)).await;
    database
        .within(async |unit| {
            let keys = unit.api_keys();
            assert_eq!(keys.find(ben, press.id).await.unwrap(), None);
            assert!(!keys.delete(ben, press.id).await.unwrap());
            assert!(keys.delete(anna, press.id).await.unwrap());
            assert!(!keys.delete(anna, press.id).await.unwrap());
        })
        .await;
    assert_eq!(stored(&database, &press).await, None);
    assert_eq!(database.reader().await.api_keys().bearer(&a_digest(1)).await.unwrap(), None);
    assert_eq!(stored(&database, &kept).await, Some(kept));
}

/// The names of the user's keys, in this order.
async fn listed(database: &Database, user: UserId, order: &[Order<ApiKeyKey>]) -> Vec<String> {
    let mut reader = database.reader().await;
    let answer = reader.api_keys().list(user, order, PageRequest::default()).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|key| key.name.to_string()).collect()
}

async fn insert_keys(database: &Database, keys: &[(&str, i64)]) -> UserId {
    let anna = database.insert_user(&a_user("anna")).await.id;
    for (digest, (name, seconds)) in (1..).zip(keys) {
        let new = NewApiKey { created_at: at(*seconds), ..an_api_key(anna, name, digest) };
        database.insert_api_key(&new).await;
    }
    anna
}

pub async fn keys_are_ordered_by_each_key_both_ways_and_equals_by_id(database: Database) {
    let anna = insert_keys(&database, &[("b", 5), ("a_", 5), ("B", 1), ("a-", 9)]).await;
    let ben = database.insert_user(&a_user("ben")).await.id;
    database.insert_api_key(&an_api_key(ben, "bens", 200)).await;
    for (order, expected) in [
        (vec![], ["b", "a_", "B", "a-"]),
        (vec![down(ApiKeyKey::Id)], ["a-", "B", "a_", "b"]),
        (vec![up(ApiKeyKey::Name)], ["B", "a-", "a_", "b"]),
        (vec![down(ApiKeyKey::Name)], ["b", "a_", "a-", "B"]),
        (vec![up(ApiKeyKey::CreatedAt)], ["B", "b", "a_", "a-"]),
        (vec![down(ApiKeyKey::CreatedAt)], ["a-", "b", "a_", "B"]),
        (vec![up(ApiKeyKey::CreatedAt), up(ApiKeyKey::Name)], ["B", "a_", "b", "a-"]),
    ] {
        assert_eq!(listed(&database, anna, &order).await, expected, "{order:?}");
    }
}

pub async fn pages_of_keys_cut_the_list_and_know_the_total(database: Database) {
    let anna = insert_keys(&database, &[("a", 0), ("b", 0), ("c", 0)]).await;
    let mut reader = database.reader().await;
    for (number, expected) in [(1, vec!["a", "b"]), (2, vec!["c"]), (3, vec![])] {
        let answer = reader.api_keys().list(anna, &[], page(number, 2)).await.unwrap();
        let names: Vec<&str> = answer.items.iter().map(|key| key.name.as_str()).collect();
        assert_eq!((names, answer.total), (expected, 3));
    }
}
