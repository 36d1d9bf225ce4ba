//! Promises about roles and who holds them. Their lists are in `role_lists`.

use crate::Database;
use crate::builders::{a_role, a_user, at, nobody, permissions, role_name};
use crate::database::refused;
use domain::access::{Permission, Permissions};
use domain::id::{RoleId, Version};
use domain::ports::{Reference, StoreError, Unique};
use domain::roles::{NewRole, Role};
use domain::text::Description;
use domain::users::NewUser;

fn no_role() -> RoleId {
    RoleId::new(i64::MAX).unwrap()
}

fn names_the_role(refusal: &StoreError) -> bool {
    matches!(refusal, StoreError::Dangling(Reference::Role))
}

pub async fn every_field_of_a_new_role_round_trips_at_its_greatest_length(database: Database) {
    let new = NewRole {
        name: role_name(&"Xy-_".repeat(16)),
        description: Description::parse(&"🛠\n".repeat(500)).unwrap(),
        permissions: Permissions::all(),
        built_in: true,
        created_at: at(5),
    };
    let stored = database.insert_role(&new).await;
    let expected = Role {
        id: stored.id,
        name: new.name,
        description: new.description,
        permissions: new.permissions,
        built_in: true,
        version: Version::FIRST,
        created_at: at(5),
        updated_at: at(5),
    };
    assert_eq!(stored, expected);
    assert_eq!(database.role(stored.id).await, Some(expected));
}

pub async fn every_permission_round_trips_and_so_does_none(database: Database) {
    let mut role = database.insert_role(&a_role("CHANGING")).await;
    let sets = Permission::ALL.iter().map(|permission| permissions(&[*permission]));
    for set in sets.chain([Permissions::NONE]) {
        role.permissions = set;
        database.within(async |unit| unit.roles().save(&role).await.unwrap()).await;
        assert_eq!(database.role(role.id).await.unwrap().permissions, set);
    }
}

pub async fn an_unknown_role_is_not_found_anywhere(database: Database) {
    let mut unit = database.begin().await;
    assert_eq!(unit.roles().find(no_role()).await.unwrap(), None);
    assert_eq!(unit.roles().lock(no_role()).await.unwrap(), None);
    assert_eq!(unit.roles().find_by_name(&role_name("NOSUCH")).await.unwrap(), None);
    assert!(unit.roles().of_user(nobody()).await.unwrap().is_empty());
    assert!(unit.roles().holders(no_role()).await.unwrap().is_empty());
    assert!(unit.roles().active_holders(no_role()).await.unwrap().is_empty());
}

pub async fn a_locked_role_is_the_stored_one(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let locked = database.within(async |unit| unit.roles().lock(role.id).await.unwrap()).await;
    assert_eq!(locked, Some(role));
}

pub async fn a_role_is_found_by_name_without_regard_to_case(database: Database) {
    let role = database.insert_role(&a_role("Shift-Lead")).await;
    let mut reader = database.reader().await;
    for spelling in ["Shift-Lead", "SHIFT-LEAD", "shift-lead"] {
        let found = reader.roles().find_by_name(&role_name(spelling)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&role), "{spelling}");
    }
}

pub async fn a_taken_role_name_is_named(database: Database) {
    database.insert_role(&a_role("EDITOR")).await;
    let viewer = database.insert_role(&a_role("VIEWER")).await;
    let inserting = database.refusal(async |unit| unit.roles().insert(&a_role("editor")).await).await;
    let renamed = Role { name: role_name("Editor"), ..viewer };
    let saving = database.refusal(async |unit| unit.roles().save(&renamed).await).await;
    for refusal in [inserting, saving] {
        assert!(matches!(refusal, StoreError::Conflict(Unique::RoleName)), "{refusal:?}");
    }
}

pub async fn a_role_may_respell_its_own_name(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let respelled = Role { name: role_name("Editor"), ..role };
    let saved = database.within(async |unit| unit.roles().save(&respelled).await.unwrap()).await;
    assert_eq!(saved.name, role_name("Editor"));
}

pub async fn saving_a_role_writes_what_may_change_and_raises_the_version(database: Database) {
    let new = NewRole { permissions: permissions(&[Permission::DataRead]), ..a_role("EDITOR") };
    let role = database.insert_role(&new).await;
    let changed = Role {
        id: role.id,
        name: role_name("AUTHOR"),
        description: Description::restore("Writes.".into()),
        permissions: permissions(&[Permission::DataWrite, Permission::AlertsRead]),
        built_in: true,
        version: role.version,
        created_at: at(-1000),
        updated_at: at(60),
    };
    let saved = database.within(async |unit| unit.roles().save(&changed).await.unwrap()).await;
    let expected =
        Role { version: role.version.next(), built_in: false, created_at: role.created_at, ..changed };
    assert_eq!(saved, expected);
    assert_eq!(database.role(role.id).await, Some(expected));
}

pub async fn saving_a_role_counts_from_the_stored_version(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    for expected in [2, 3] {
        let saved = database.within(async |unit| unit.roles().save(&role).await.unwrap()).await;
        assert_eq!(saved.version.get(), expected);
    }
}

pub async fn saving_a_role_that_is_gone_dangles(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    database.within(async |unit| unit.roles().delete(role.id).await.unwrap()).await;
    let refusal = database.refusal(async |unit| unit.roles().save(&role).await).await;
    assert!(names_the_role(&refusal), "{refusal:?}");
}

pub async fn a_role_that_nobody_holds_is_deleted_and_its_name_is_free(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let other = database.insert_role(&a_role("VIEWER")).await;
    database
        .within(async |unit| {
            assert!(unit.roles().delete(role.id).await.unwrap());
            assert!(!unit.roles().delete(role.id).await.unwrap());
        })
        .await;
    assert_eq!(database.role(role.id).await, None);
    assert_eq!(database.role(other.id).await, Some(other));
    let again = database.insert_role(&a_role("EDITOR")).await;
    assert_ne!(again.id, role.id);
}

pub async fn a_role_that_somebody_holds_is_not_deleted(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let anna = database.insert_user(&a_user("anna")).await;
    database.assign(anna.id, role.id).await;
    let refusal = database.refusal(async |unit| unit.roles().delete(role.id).await).await;
    assert!(names_the_role(&refusal), "{refusal:?}");
    assert_eq!(database.role(role.id).await, Some(role));
}

pub async fn a_role_is_given_once_and_taken_once(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    database
        .within(async |unit| {
            let roles = unit.roles();
            assert!(roles.assign(anna, role).await.unwrap());
            assert!(!roles.assign(anna, role).await.unwrap());
            assert!(roles.assign(ben, role).await.unwrap());
            assert!(roles.unassign(anna, role).await.unwrap());
            assert!(!roles.unassign(anna, role).await.unwrap());
            assert!(!roles.unassign(nobody(), role).await.unwrap());
        })
        .await;
    assert_eq!(database.reader().await.roles().holders(role).await.unwrap(), [ben]);
}

pub async fn giving_a_role_names_whichever_of_the_two_is_gone(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let refusal = database.refusal(async |unit| unit.roles().assign(nobody(), role).await).await;
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    let refusal = database.refusal(async |unit| unit.roles().assign(anna, no_role()).await).await;
    assert!(names_the_role(&refusal), "{refusal:?}");
}

pub async fn roles_of_a_user_come_by_name_and_holders_by_id(database: Database) {
    let zoe = database.insert_user(&a_user("zoe")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut roles = Vec::new();
    for name in ["viewer", "Editor", "admin"] {
        let role = database.insert_role(&a_role(name)).await;
        database.assign(anna, role.id).await;
        database.assign(zoe, role.id).await;
        roles.push(role);
    }
    roles.reverse();
    let mut reader = database.reader().await;
    assert_eq!(reader.roles().of_user(anna).await.unwrap(), roles);
    assert_eq!(reader.roles().holders(roles[0].id).await.unwrap(), [zoe, anna]);
}

pub async fn active_holders_are_those_who_may_act(database: Database) {
    let role = database.insert_role(&a_role("ADMIN")).await.id;
    let zoe = database.insert_user(&a_user("zoe")).await.id;
    let gone = database.insert_user(&NewUser { is_active: false, ..a_user("gone") }).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    database.insert_user(&a_user("ben")).await;
    for user in [anna, gone, zoe] {
        database.assign(user, role).await;
    }
    let mut reader = database.reader().await;
    assert_eq!(reader.roles().active_holders(role).await.unwrap(), [zoe, anna]);
    assert_eq!(reader.roles().holders(role).await.unwrap(), [zoe, gone, anna]);
}

pub async fn a_role_given_in_an_open_unit_is_not_deleted_meanwhile(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut giving = database.begin().await;
    giving.roles().assign(anna, role).await.unwrap();

    let mut deleting = database.meanwhile(async move |mut unit| unit.roles().delete(role).await);
    deleting.waits().await;
    giving.commit().await.unwrap();

    let refusal = refused(deleting.outcome().await);
    assert!(names_the_role(&refusal), "{refusal:?}");
    let held = database.reader().await.roles().of_user(anna).await.unwrap();
    assert_eq!(held.len(), 1);
}

pub async fn a_role_deleted_in_an_open_unit_is_not_given_meanwhile(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut deleting = database.begin().await;
    assert!(deleting.roles().delete(role).await.unwrap());

    let mut giving = database.meanwhile(async move |mut unit| unit.roles().assign(anna, role).await);
    giving.waits().await;
    deleting.commit().await.unwrap();

    let refusal = refused(giving.outcome().await);
    assert!(names_the_role(&refusal), "{refusal:?}");
    assert!(database.reader().await.roles().holders(role).await.unwrap().is_empty());
}

pub async fn a_user_deleted_in_an_open_unit_is_given_no_role_meanwhile(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut deleting = database.begin().await;
    assert!(deleting.users().delete(anna).await.unwrap());

    let mut giving = database.meanwhile(async move |mut unit| unit.roles().assign(anna, role).await);
    giving.waits().await;
    deleting.commit().await.unwrap();

    let refusal = refused(giving.outcome().await);
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    assert!(database.reader().await.roles().holders(role).await.unwrap().is_empty());
}
