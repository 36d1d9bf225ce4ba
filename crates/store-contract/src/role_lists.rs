//! Promises about lists of roles: which, in which order, on which page.

use crate::Database;
use crate::builders::{a_role, a_user, at, down, login, page, permissions, role_name, up};
use domain::access::Permission;
use domain::page::Order;
use domain::roles::{NewRole, Role, RoleFilter, RoleKey, RoleQuery};
use domain::text::Description;
use domain::users::UserRef;

/// The names that a question answers, in its order.
async fn asked(database: &Database, query: RoleQuery) -> Vec<String> {
    let answer = database.reader().await.roles().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|role| role.name.to_string()).collect()
}

async fn filtered(database: &Database, filter: RoleFilter) -> Vec<String> {
    asked(database, RoleQuery { filter, ..RoleQuery::default() }).await
}

async fn ordered(database: &Database, order: &[Order<RoleKey>]) -> Vec<String> {
    asked(database, RoleQuery { order: order.to_vec(), ..RoleQuery::default() }).await
}

async fn searched(database: &Database, text: &str) -> Vec<String> {
    filtered(database, RoleFilter { search: Some(text.into()), ..RoleFilter::default() }).await
}

async fn insert_described(database: &Database, roles: &[(&str, &str)]) {
    for (name, description) in roles {
        let description = Description::restore((*description).into());
        database.insert_role(&NewRole { description, ..a_role(name) }).await;
    }
}

pub async fn a_store_without_roles_lists_none(database: Database) {
    assert!(asked(&database, RoleQuery::default()).await.is_empty());
}

pub async fn a_listed_role_is_the_stored_one(database: Database) {
    let permissions = permissions(&[Permission::DataRead, Permission::DataWrite, Permission::RolesRead]);
    let role = database.insert_role(&NewRole { permissions, ..a_role("EDITOR") }).await;
    let listed = database.reader().await.roles().list(&RoleQuery::default()).await.unwrap();
    assert_eq!(listed.items, [role]);
}

pub async fn roles_are_ordered_by_each_key_both_ways(database: Database) {
    for (name, made, written) in [("b_", 2, 30), ("B-", 1, 20), ("a", 3, 10)] {
        let role = database.insert_role(&NewRole { created_at: at(made), ..a_role(name) }).await;
        let written = Role { updated_at: at(written), ..role };
        database.within(async |unit| unit.roles().save(&written).await.unwrap()).await;
    }
    for (key, expected) in [
        (RoleKey::Id, ["b_", "B-", "a"]),
        (RoleKey::Name, ["a", "B-", "b_"]),
        (RoleKey::CreatedAt, ["B-", "b_", "a"]),
        (RoleKey::UpdatedAt, ["a", "B-", "b_"]),
    ] {
        assert_eq!(ordered(&database, &[up(key)]).await, expected, "{key:?}");
        let reversed: Vec<&str> = expected.into_iter().rev().collect();
        assert_eq!(ordered(&database, &[down(key)]).await, reversed, "{key:?}");
    }
}

pub async fn equal_roles_are_ordered_by_id_whichever_way_the_list_runs(database: Database) {
    for name in ["c", "a", "b"] {
        database.insert_role(&a_role(name)).await;
    }
    assert_eq!(ordered(&database, &[]).await, ["c", "a", "b"]);
    assert_eq!(ordered(&database, &[up(RoleKey::CreatedAt)]).await, ["c", "a", "b"]);
    assert_eq!(ordered(&database, &[down(RoleKey::CreatedAt)]).await, ["c", "a", "b"]);
    let then_by_name = [down(RoleKey::UpdatedAt), up(RoleKey::Name)];
    assert_eq!(ordered(&database, &then_by_name).await, ["a", "b", "c"]);
}

pub async fn roles_are_filtered_by_name_without_regard_to_case(database: Database) {
    insert_described(&database, &[("EDITOR", ""), ("Viewer", ""), ("ADMIN", "")]).await;
    let of = |names: &[&str]| RoleFilter {
        names: names.iter().copied().map(role_name).collect(),
        ..RoleFilter::default()
    };
    assert_eq!(filtered(&database, of(&["viewer"])).await, ["Viewer"]);
    assert_eq!(filtered(&database, of(&["admin", "editor", "nosuch"])).await, ["EDITOR", "ADMIN"]);
    assert!(filtered(&database, of(&["view"])).await.is_empty());
}

pub async fn roles_are_filtered_by_permission_and_each_is_listed_once(database: Database) {
    for (name, held) in [
        ("both", permissions(&[Permission::DataRead, Permission::AlertsRead])),
        ("data", permissions(&[Permission::DataRead])),
        ("none", permissions(&[])),
    ] {
        database.insert_role(&NewRole { permissions: held, ..a_role(name) }).await;
    }
    let of = |wanted: &[Permission]| RoleFilter { permissions: wanted.to_vec(), ..RoleFilter::default() };
    assert_eq!(filtered(&database, of(&[Permission::AlertsRead])).await, ["both"]);
    let either = of(&[Permission::DataRead, Permission::AlertsRead]);
    assert_eq!(filtered(&database, either).await, ["both", "data"]);
    assert!(filtered(&database, of(&[Permission::DataWrite])).await.is_empty());
}

pub async fn roles_are_filtered_by_holder_by_id_or_by_login(database: Database) {
    let anna = database.insert_user(&a_user("Anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    for (name, holders) in [("both", vec![anna, ben]), ("bens", vec![ben]), ("nobodys", vec![])] {
        let role = database.insert_role(&a_role(name)).await.id;
        for holder in holders {
            database.assign(holder, role).await;
        }
    }
    let of = |users: Vec<UserRef>| RoleFilter { users, ..RoleFilter::default() };
    let by_login = UserRef::Login(login("ANNA"));
    assert_eq!(filtered(&database, of(vec![UserRef::Id(ben)])).await, ["both", "bens"]);
    assert_eq!(filtered(&database, of(vec![by_login.clone()])).await, ["both"]);
    assert_eq!(filtered(&database, of(vec![by_login, UserRef::Id(ben)])).await, ["both", "bens"]);
}

pub async fn role_filters_of_different_fields_must_all_hold(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let reading = permissions(&[Permission::DataRead]);
    let held = database.insert_role(&NewRole { permissions: reading, ..a_role("held-reader") }).await.id;
    database.assign(anna, held).await;
    database.insert_role(&NewRole { permissions: reading, ..a_role("reader") }).await;
    let filter = RoleFilter {
        names: vec![role_name("held-reader"), role_name("reader")],
        permissions: vec![Permission::DataRead],
        users: vec![UserRef::Id(anna)],
        search: Some("read".into()),
    };
    assert_eq!(filtered(&database, filter.clone()).await, ["held-reader"]);
    let without = RoleFilter { permissions: vec![Permission::DataWrite], ..filter };
    assert!(filtered(&database, without).await.is_empty());
}

pub async fn a_role_search_looks_into_name_and_description_without_regard_to_case(database: Database) {
    let roles = [("EDITOR", "Writes reports"), ("shift", "Смена на заводе"), ("other", "")];
    insert_described(&database, &roles).await;
    assert_eq!(searched(&database, "dito").await, ["EDITOR"]);
    assert_eq!(searched(&database, "REPORT").await, ["EDITOR"]);
    assert_eq!(searched(&database, "СМЕНА НА").await, ["shift"]);
    assert_eq!(searched(&database, "T").await, ["EDITOR", "shift", "other"]);
    assert!(searched(&database, "nothing").await.is_empty());
}

pub async fn a_role_search_takes_every_character_literally(database: Database) {
    let roles = [("a", "100%"), ("b_b", "none"), ("c", r"c\d"), ("bxb", "10000")];
    insert_described(&database, &roles).await;
    for (text, expected) in [("%", "a"), ("_", "b_b"), (r"\", "c")] {
        assert_eq!(searched(&database, text).await, [expected], "{text}");
    }
}

pub async fn pages_of_roles_cut_the_list_and_know_the_total(database: Database) {
    for name in ["a", "b", "c"] {
        database.insert_role(&a_role(name)).await;
    }
    for (number, expected) in [(1, vec!["a", "b"]), (2, vec!["c"]), (3, vec![]), (1_000_000, vec![])] {
        let query = RoleQuery { page: page(number, 2), ..RoleQuery::default() };
        let answer = database.reader().await.roles().list(&query).await.unwrap();
        let names: Vec<&str> = answer.items.iter().map(|role| role.name.as_str()).collect();
        assert_eq!((names, answer.total), (expected, 3));
    }
}
