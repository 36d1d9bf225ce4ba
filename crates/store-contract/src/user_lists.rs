//! Promises about lists of people: which, in which order, on which page.

use crate::Database;
use crate::builders::{
    a_mentee, a_mentor, a_role, a_user, at, down, email, login, page, phone, role_name, up,
};
use domain::page::{Order, PageRequest};
use domain::time::Span;
use domain::users::{NewUser, User, UserFilter, UserKey, UserQuery, UserRef};

/// The logins that a question answers, in its order.
async fn asked(database: &Database, query: UserQuery) -> Vec<String> {
    let answer = database.reader().await.users().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|view| view.user.username.to_string()).collect()
}

async fn filtered(database: &Database, filter: UserFilter) -> Vec<String> {
    asked(database, UserQuery { filter, ..UserQuery::default() }).await
}

async fn ordered(database: &Database, order: &[Order<UserKey>]) -> Vec<String> {
    asked(database, UserQuery { order: order.to_vec(), ..UserQuery::default() }).await
}

async fn searched(database: &Database, text: &str, search_private: bool) -> Vec<String> {
    filtered(database, UserFilter { search: Some(text.into()), search_private, ..UserFilter::default() })
        .await
}

async fn insert_all(database: &Database, usernames: &[&str]) {
    for username in usernames {
        database.insert_user(&a_user(username)).await;
    }
}

pub async fn a_store_with_nobody_in_it_lists_nobody(database: Database) {
    assert!(asked(&database, UserQuery::default()).await.is_empty());
}

pub async fn users_are_listed_by_id_when_nobody_asks_otherwise(database: Database) {
    insert_all(&database, &["carl", "anna", "ben"]).await;
    assert_eq!(asked(&database, UserQuery::default()).await, ["carl", "anna", "ben"]);
    assert_eq!(ordered(&database, &[up(UserKey::Id)]).await, ["carl", "anna", "ben"]);
    assert_eq!(ordered(&database, &[down(UserKey::Id)]).await, ["ben", "anna", "carl"]);
}

pub async fn users_are_ordered_by_folded_login_byte_by_byte(database: Database) {
    insert_all(&database, &["Олег", "b", "a_b", "C", "ab", "a-b", "Ä"]).await;
    let expected = ["a-b", "a_b", "ab", "b", "C", "Ä", "Олег"];
    assert_eq!(ordered(&database, &[up(UserKey::Username)]).await, expected);
    let reversed: Vec<&str> = expected.into_iter().rev().collect();
    assert_eq!(ordered(&database, &[down(UserKey::Username)]).await, reversed);
}

pub async fn users_without_email_count_as_smallest(database: Database) {
    for (username, address) in
        [("b", Some("Zoe@example.com")), ("none", None), ("a", Some("anna@example.com")), ("void", None)]
    {
        let new = NewUser { email: address.map(email), ..a_user(username) };
        database.insert_user(&new).await;
    }
    assert_eq!(ordered(&database, &[up(UserKey::Email)]).await, ["none", "void", "a", "b"]);
    assert_eq!(ordered(&database, &[down(UserKey::Email)]).await, ["b", "a", "none", "void"]);
}

pub async fn users_who_never_signed_in_count_as_smallest(database: Database) {
    for (username, last_login_at) in [("late", Some(at(9))), ("never", None), ("early", Some(at(1)))] {
        let user = database.insert_user(&a_user(username)).await;
        database.save_user(&User { last_login_at, ..user }).await;
    }
    assert_eq!(ordered(&database, &[up(UserKey::LastLoginAt)]).await, ["never", "early", "late"]);
    assert_eq!(ordered(&database, &[down(UserKey::LastLoginAt)]).await, ["late", "early", "never"]);
}

pub async fn equals_are_ordered_by_id_whichever_way_the_list_runs(database: Database) {
    database.insert_user(&a_mentor("d")).await;
    database.insert_user(&NewUser { is_active: false, ..a_user("c") }).await;
    database.insert_user(&a_user("b")).await;
    database.insert_user(&NewUser { is_active: false, ..a_mentor("a") }).await;
    assert_eq!(ordered(&database, &[up(UserKey::IsMentor)]).await, ["c", "b", "d", "a"]);
    assert_eq!(ordered(&database, &[down(UserKey::IsMentor)]).await, ["d", "a", "c", "b"]);
    assert_eq!(ordered(&database, &[up(UserKey::IsActive)]).await, ["c", "a", "d", "b"]);
    assert_eq!(ordered(&database, &[down(UserKey::IsActive)]).await, ["d", "b", "c", "a"]);
}

pub async fn users_are_ordered_by_when_they_were_made_and_written(database: Database) {
    for (username, made, written) in [("a", 2, 30), ("b", 1, 20), ("c", 3, 10)] {
        let new = NewUser { created_at: at(made), ..a_user(username) };
        let user = database.insert_user(&new).await;
        database.save_user(&User { updated_at: at(written), ..user }).await;
    }
    assert_eq!(ordered(&database, &[up(UserKey::CreatedAt)]).await, ["b", "a", "c"]);
    assert_eq!(ordered(&database, &[down(UserKey::CreatedAt)]).await, ["c", "a", "b"]);
    assert_eq!(ordered(&database, &[up(UserKey::UpdatedAt)]).await, ["c", "b", "a"]);
    assert_eq!(ordered(&database, &[down(UserKey::UpdatedAt)]).await, ["a", "b", "c"]);
}

pub async fn a_second_key_orders_what_the_first_leaves_equal(database: Database) {
    insert_all(&database, &["c", "a"]).await;
    database.insert_user(&a_mentor("b")).await;
    database.insert_user(&a_mentor("d")).await;
    let order = [down(UserKey::IsMentor), up(UserKey::Username)];
    assert_eq!(ordered(&database, &order).await, ["b", "d", "a", "c"]);
    let order = [up(UserKey::IsMentor), down(UserKey::Username)];
    assert_eq!(ordered(&database, &order).await, ["c", "a", "d", "b"]);
}

pub async fn pages_of_users_cut_the_list_without_gap_or_repetition(database: Database) {
    insert_all(&database, &["a", "b", "c", "d", "e"]).await;
    let mut seen = Vec::new();
    for number in 1..=3 {
        // All are equal under this key, so only a stable end of the order keeps the pages apart.
        let query =
            UserQuery { order: vec![up(UserKey::IsActive)], page: page(number, 2), ..UserQuery::default() };
        let answer = database.reader().await.users().list(&query).await.unwrap();
        assert_eq!(answer.total, 5);
        seen.push(answer.items.iter().map(|view| view.user.username.to_string()).collect::<String>());
    }
    assert_eq!(seen, ["ab", "cd", "e"]);
}

pub async fn a_page_of_users_past_the_end_is_empty_and_knows_the_total(database: Database) {
    insert_all(&database, &["a", "b", "c"]).await;
    let farthest = PageRequest::new(u64::MAX / 2048, PageRequest::MAX_SIZE).unwrap();
    for request in [page(3, 2), page(1_000_000, 1000), farthest] {
        let query = UserQuery { page: request, ..UserQuery::default() };
        let answer = database.reader().await.users().list(&query).await.unwrap();
        assert_eq!((answer.items.len(), answer.total), (0, 3), "{request:?}");
    }
}

pub async fn users_are_filtered_by_login_however_it_is_spelled(database: Database) {
    insert_all(&database, &["Anna", "ben", "carl"]).await;
    let of = |usernames: &[&str]| UserFilter {
        usernames: usernames.iter().copied().map(login).collect(),
        ..UserFilter::default()
    };
    assert_eq!(filtered(&database, of(&["ANNA"])).await, ["Anna"]);
    assert_eq!(filtered(&database, of(&["carl", "anna", "nobody"])).await, ["Anna", "carl"]);
    assert!(filtered(&database, of(&["ann"])).await.is_empty());
}

async fn insert_reachable(database: &Database) {
    for (username, address, number) in [
        ("anna", Some("Anna@example.com"), Some("+4917011111")),
        ("ben", Some("ben@example.com"), Some("4917022222")),
        ("carl", None, None),
    ] {
        let new = NewUser { email: address.map(email), phone: number.map(phone), ..a_user(username) };
        database.insert_user(&new).await;
    }
}

pub async fn users_are_filtered_by_email_without_regard_to_case(database: Database) {
    insert_reachable(&database).await;
    let of = |addresses: &[&str]| UserFilter {
        emails: addresses.iter().copied().map(email).collect(),
        ..UserFilter::default()
    };
    assert_eq!(filtered(&database, of(&["ANNA@EXAMPLE.COM"])).await, ["anna"]);
    assert_eq!(filtered(&database, of(&["ben@example.com", "anna@example.com"])).await, ["anna", "ben"]);
}

pub async fn users_are_filtered_by_the_digits_of_their_phone(database: Database) {
    insert_reachable(&database).await;
    let of = |numbers: &[&str]| UserFilter {
        phones: numbers.iter().copied().map(phone).collect(),
        ..UserFilter::default()
    };
    assert_eq!(filtered(&database, of(&["49 170 11111"])).await, ["anna"]);
    assert_eq!(filtered(&database, of(&["+49 170 22222", "+4917011111"])).await, ["anna", "ben"]);
}

async fn insert_with_roles(database: &Database) {
    let editor = database.insert_role(&a_role("EDITOR")).await;
    let viewer = database.insert_role(&a_role("VIEWER")).await;
    for (username, roles) in
        [("both", vec![editor.id, viewer.id]), ("viewer", vec![viewer.id]), ("none", vec![])]
    {
        let user = database.insert_user(&a_user(username)).await;
        for role in roles {
            database.assign(user.id, role).await;
        }
    }
}

pub async fn users_are_filtered_by_role_and_each_is_listed_once(database: Database) {
    insert_with_roles(&database).await;
    let of = |roles: &[&str]| UserFilter {
        roles: roles.iter().copied().map(role_name).collect(),
        ..UserFilter::default()
    };
    assert_eq!(filtered(&database, of(&["editor"])).await, ["both"]);
    assert_eq!(filtered(&database, of(&["EDITOR", "VIEWER"])).await, ["both", "viewer"]);
    assert!(filtered(&database, of(&["NOSUCH"])).await.is_empty());
}

pub async fn users_are_filtered_by_being_mentors_and_by_being_active(database: Database) {
    database.insert_user(&a_mentor("mentor")).await;
    database.insert_user(&NewUser { is_active: false, ..a_user("gone") }).await;
    let mentors = |wanted| UserFilter { is_mentor: Some(wanted), ..UserFilter::default() };
    let active = |wanted| UserFilter { is_active: Some(wanted), ..UserFilter::default() };
    assert_eq!(filtered(&database, mentors(true)).await, ["mentor"]);
    assert_eq!(filtered(&database, mentors(false)).await, ["gone"]);
    assert_eq!(filtered(&database, active(true)).await, ["mentor"]);
    assert_eq!(filtered(&database, active(false)).await, ["gone"]);
}

pub async fn users_are_filtered_by_mentor_by_id_or_by_login(database: Database) {
    let first = database.insert_user(&a_mentor("First")).await;
    let second = database.insert_user(&a_mentor("Second")).await;
    database.insert_user(&a_mentee("anna", first.id)).await;
    database.insert_user(&a_mentee("ben", second.id)).await;
    let of = |mentors: Vec<UserRef>| UserFilter { mentors, ..UserFilter::default() };
    let by_id = of(vec![UserRef::Id(first.id)]);
    assert_eq!(filtered(&database, by_id).await, ["anna"]);
    let by_login = of(vec![UserRef::Login(login("SECOND"))]);
    assert_eq!(filtered(&database, by_login).await, ["ben"]);
    let by_either = of(vec![UserRef::Login(login("second")), UserRef::Id(first.id)]);
    assert_eq!(filtered(&database, by_either).await, ["anna", "ben"]);
}

pub async fn users_are_filtered_by_a_half_open_span_of_creation(database: Database) {
    for (username, seconds) in [("a", 1), ("b", 2), ("c", 3)] {
        database.insert_user(&NewUser { created_at: at(seconds), ..a_user(username) }).await;
    }
    let of = |from, until| UserFilter { created: Span { from, until }, ..UserFilter::default() };
    assert_eq!(filtered(&database, of(Some(at(2)), None)).await, ["b", "c"]);
    assert_eq!(filtered(&database, of(None, Some(at(2)))).await, ["a"]);
    assert_eq!(filtered(&database, of(Some(at(1)), Some(at(3)))).await, ["a", "b"]);
}

pub async fn filters_of_different_fields_must_all_hold(database: Database) {
    insert_with_roles(&database).await;
    let mentor = database.insert_user(&a_mentor("viewing-mentor")).await;
    let both = UserFilter {
        roles: vec![role_name("VIEWER")],
        usernames: vec![login("viewer"), login("none"), login("viewing-mentor")],
        is_mentor: Some(false),
        search: Some("e".into()),
        ..UserFilter::default()
    };
    assert_eq!(filtered(&database, both.clone()).await, ["viewer"]);
    let nobodys = UserFilter { mentors: vec![UserRef::Id(mentor.id)], ..both };
    assert!(filtered(&database, nobodys).await.is_empty());
}

pub async fn a_search_finds_part_of_the_login_without_regard_to_case(database: Database) {
    insert_all(&database, &["Anna-Maria", "Straße", "Олег", "ben"]).await;
    assert_eq!(searched(&database, "A-MAR", false).await, ["Anna-Maria"]);
    assert_eq!(searched(&database, "STRASSE", false).await, ["Straße"]);
    assert_eq!(searched(&database, "ОЛЕГ", false).await, ["Олег"]);
    assert!(searched(&database, "nobody", false).await.is_empty());
}

pub async fn a_search_takes_every_character_literally(database: Database) {
    insert_all(&database, &["100%", "a_b", r"c\d", "axb", "cd"]).await;
    for (text, expected) in [("%", "100%"), ("_", "a_b"), (r"\", r"c\d"), (r"c\d", r"c\d")] {
        assert_eq!(searched(&database, text, true).await, [expected], "{text}");
    }
    assert!(searched(&database, r"\%", true).await.is_empty());
    assert!(searched(&database, "'", true).await.is_empty());
}

pub async fn a_search_looks_into_email_and_phone_only_when_it_may(database: Database) {
    insert_reachable(&database).await;
    assert!(searched(&database, "example", false).await.is_empty());
    assert!(searched(&database, "17011", false).await.is_empty());
    assert_eq!(searched(&database, "ANNA@EX", true).await, ["anna"]);
    assert_eq!(searched(&database, "17022", true).await, ["ben"]);
    assert_eq!(searched(&database, "+4917", true).await, ["anna"]);
    assert_eq!(searched(&database, "car", true).await, ["carl"]);
}

pub async fn a_listed_user_comes_with_roles_mentor_and_mentees(database: Database) {
    insert_with_roles(&database).await;
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    for mentee in ["zoe", "ben"] {
        database.insert_user(&a_mentee(mentee, mentor.id)).await;
    }
    let mut reader = database.reader().await;
    let listed = reader.users().list(&UserQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 6);
    for item in &listed.items {
        let view = reader.users().view(item.user.id).await.unwrap();
        assert_eq!(view.as_ref(), Some(item));
    }
    assert_eq!(listed.items[0].roles, [role_name("EDITOR"), role_name("VIEWER")]);
    assert_eq!(listed.items[3].mentees, [login("zoe"), login("ben")]);
    assert_eq!(listed.items[5].mentor, Some(login("mentor")));
}
