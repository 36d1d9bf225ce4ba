//! Promises about the audit trail.

use crate::Database;
use crate::builders::{a_user, an_event, at, nobody};
use domain::access::Origin;
use domain::audit::{Action, Event, EventFilter, EventQuery, Fact, Facts, NewEvent, Subject};
use domain::id::{EventId, UserId};
use domain::page::{Direction, Seek, Stretch};
use domain::time::{Span, Timestamp};

const OLDEST_FIRST: Direction = Direction::Ascending;
const NEWEST_FIRST: Direction = Direction::Descending;

fn everything() -> EventQuery {
    EventQuery { filter: EventFilter::default(), direction: OLDEST_FIRST, seek: Seek::Start, limit: 1000 }
}

async fn read(database: &Database, query: &EventQuery) -> Stretch<Event> {
    database.reader().await.trail().read(query).await.unwrap()
}

/// The labels of the events that a filter lets through, oldest first.
async fn filtered(database: &Database, filter: EventFilter) -> Vec<String> {
    labels(&read(database, &EventQuery { filter, ..everything() }).await)
}

fn labels(stretch: &Stretch<Event>) -> Vec<String> {
    stretch.items.iter().map(|event| event.what.subject.label.clone()).collect()
}

async fn round_trips(database: &Database, event: NewEvent) {
    let id = database.record(&event).await;
    let stored = read(database, &EventQuery { direction: NEWEST_FIRST, limit: 1, ..everything() }).await;
    assert_eq!(stored.items, [Event { id, what: event }]);
}

pub async fn every_field_of_an_event_round_trips(database: Database) {
    let facts = |prefix: &str| -> Facts {
        let named = |name: &str, fact| (format!("{prefix}{name}"), fact);
        vec![
            named("z-null", Fact::Null),
            named("yes", Fact::Flag(true)),
            named("no", Fact::Flag(false)),
            named("least", Fact::Number(i64::MIN)),
            named("most", Fact::Number(i64::MAX)),
            named("text", Fact::Text("\"quoted\"\n\\ 🛠 'x'".into())),
            named("empty", Fact::Text(String::new())),
            named("number-like", Fact::Text("17".into())),
            named("list", Fact::List(vec!["ADMIN".into(), String::new(), "null".into()])),
            named("a-nothing", Fact::List(Vec::new())),
        ]
    };
    let event = NewEvent {
        at: Timestamp::MAX,
        actor: Some(nobody()),
        actor_name: "анна 🛠 ".repeat(20),
        action: Action::RolesChanged,
        subject: Subject { kind: "user".into(), id: Some(i64::MAX), label: "ß".repeat(64) },
        origin: Origin {
            address: Some("2001:db8::1".parse().unwrap()),
            agent: Some("Browser 🦊".repeat(50)),
            request_id: Some("A-z_0.9".into()),
        },
        before: facts("was "),
        after: facts("is "),
    };
    round_trips(&database, event).await;
}

pub async fn an_event_may_lack_all_that_may_be_lacking(database: Database) {
    round_trips(&database, an_event("bare")).await;
}

pub async fn every_action_and_both_kinds_of_address_round_trip(database: Database) {
    for (action, address) in Action::ALL.iter().zip(["192.0.2.1", "::1"].into_iter().cycle()) {
        let origin = Origin { address: Some(address.parse().unwrap()), ..Origin::default() };
        round_trips(&database, NewEvent { action: *action, origin, ..an_event("x") }).await;
    }
}

pub async fn later_events_have_larger_ids(database: Database) {
    // The clock may run backwards; the trail does not.
    let first = database.record(&NewEvent { at: at(9), ..an_event("a") }).await;
    let second = database.record(&NewEvent { at: at(1), ..an_event("b") }).await;
    assert!(first < second && second < database.record(&an_event("c")).await);
    assert_eq!(labels(&read(&database, &everything()).await), ["a", "b", "c"]);
}

pub async fn the_trail_outlives_whom_it_tells_of(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let event = NewEvent { actor: Some(anna), subject: Subject::user(anna, "anna"), ..an_event("replaced") };
    let id = database.record(&event).await;
    database.within(async |unit| unit.users().delete(anna).await.unwrap()).await;
    assert_eq!(read(&database, &everything()).await.items, [Event { id, what: event }]);
}

pub async fn an_empty_trail_has_nothing_beyond_either_end(database: Database) {
    for direction in [OLDEST_FIRST, NEWEST_FIRST] {
        let stretch = read(&database, &EventQuery { direction, ..everything() }).await;
        assert_eq!(stretch, Stretch { items: Vec::new(), has_previous: false, has_next: false });
    }
}

/// Events `a` to `e`, and their ids.
async fn five_events(database: &Database) -> Vec<EventId> {
    let mut ids = Vec::new();
    for label in ["a", "b", "c", "d", "e"] {
        ids.push(database.record(&an_event(label)).await);
    }
    ids
}

/// The labels in one word, with a dash at each end beyond which there is more.
async fn stretch(database: &Database, direction: Direction, seek: Seek<EventId>, limit: u32) -> String {
    let stretch = read(database, &EventQuery { direction, seek, limit, ..everything() }).await;
    let dash = |more| if more { "-" } else { "" };
    format!("{}{}{}", dash(stretch.has_previous), labels(&stretch).concat(), dash(stretch.has_next))
}

pub async fn a_stretch_begins_at_the_start_and_knows_what_follows(database: Database) {
    five_events(&database).await;
    assert_eq!(stretch(&database, OLDEST_FIRST, Seek::Start, 2).await, "ab-");
    assert_eq!(stretch(&database, OLDEST_FIRST, Seek::Start, 5).await, "abcde");
    assert_eq!(stretch(&database, NEWEST_FIRST, Seek::Start, 2).await, "ed-");
    assert_eq!(stretch(&database, NEWEST_FIRST, Seek::Start, 6).await, "edcba");
}

pub async fn a_stretch_after_a_mark_follows_it(database: Database) {
    let ids = five_events(&database).await;
    for (direction, mark, limit, expected) in [
        (OLDEST_FIRST, 1, 2, "-cd-"),
        (OLDEST_FIRST, 1, 3, "-cde"),
        (OLDEST_FIRST, 0, 100, "-bcde"),
        (NEWEST_FIRST, 3, 2, "-cb-"),
        (NEWEST_FIRST, 3, 3, "-cba"),
    ] {
        let seek = Seek::After(ids[mark]);
        assert_eq!(stretch(&database, direction, seek, limit).await, expected);
    }
}

pub async fn a_stretch_before_a_mark_is_the_nearest_and_in_the_streams_order(database: Database) {
    let ids = five_events(&database).await;
    for (direction, mark, limit, expected) in [
        (OLDEST_FIRST, 3, 2, "-bc-"),
        (OLDEST_FIRST, 3, 3, "abc-"),
        (OLDEST_FIRST, 4, 100, "abcd-"),
        (NEWEST_FIRST, 1, 2, "-dc-"),
        (NEWEST_FIRST, 1, 3, "edc-"),
    ] {
        let seek = Seek::Before(ids[mark]);
        assert_eq!(stretch(&database, direction, seek, limit).await, expected);
    }
}

pub async fn a_mark_that_is_not_in_the_stream_cuts_it_all_the_same(database: Database) {
    let foreign = database.record(&NewEvent { action: Action::SignedIn, ..an_event("before all") }).await;
    five_events(&database).await;
    let filter = EventFilter { actions: vec![Action::UserCreated], ..EventFilter::default() };
    let of = |direction, seek| EventQuery { filter: filter.clone(), direction, seek, limit: 100 };

    let following = read(&database, &of(OLDEST_FIRST, Seek::After(foreign))).await;
    assert_eq!(labels(&following).concat(), "abcde");
    assert!(!following.has_previous && !following.has_next);

    let ahead = read(&database, &of(NEWEST_FIRST, Seek::Before(foreign))).await;
    assert_eq!(labels(&ahead).concat(), "edcba");
    assert!(!ahead.has_previous && !ahead.has_next);
}

pub async fn what_a_filter_leaves_out_lies_beyond_no_end(database: Database) {
    for (label, action) in [
        ("out", Action::SignedIn),
        ("a", Action::UserCreated),
        ("out", Action::SignedIn),
        ("b", Action::UserCreated),
        ("out", Action::SignedIn),
    ] {
        database.record(&NewEvent { action, ..an_event(label) }).await;
    }
    let filter = EventFilter { actions: vec![Action::UserCreated], ..EventFilter::default() };
    let whole = read(&database, &EventQuery { filter: filter.clone(), limit: 2, ..everything() }).await;
    assert_eq!(labels(&whole), ["a", "b"]);
    assert!(!whole.has_previous && !whole.has_next);
    let half = read(&database, &EventQuery { filter, limit: 1, ..everything() }).await;
    assert!(!half.has_previous && half.has_next);
}

pub async fn walking_the_trail_meets_every_event_once_in_either_direction(database: Database) {
    let mut ids = five_events(&database).await;
    for direction in [OLDEST_FIRST, NEWEST_FIRST] {
        let mut met = Vec::new();
        let mut seek = Seek::Start;
        loop {
            let part = read(&database, &EventQuery { direction, seek, limit: 2, ..everything() }).await;
            met.extend(part.items.iter().map(|event| event.id));
            if !part.has_next {
                break;
            }
            seek = Seek::After(*met.last().unwrap());
        }
        assert_eq!(met, ids);
        ids.reverse();
    }
}

pub async fn the_trail_is_filtered_by_actor_and_by_action(database: Database) {
    let [anna, ben] = [1, 2].map(|number| UserId::new(number).unwrap());
    for (label, actor, action) in [
        ("a", Some(anna), Action::SignedIn),
        ("b", Some(ben), Action::SignedOut),
        ("c", None, Action::SignInFailed),
    ] {
        database.record(&NewEvent { actor, action, ..an_event(label) }).await;
    }
    let by = |actors: &[UserId]| EventFilter { actors: actors.to_vec(), ..EventFilter::default() };
    assert_eq!(filtered(&database, by(&[ben])).await, ["b"]);
    assert_eq!(filtered(&database, by(&[ben, anna, nobody()])).await, ["a", "b"]);
    let of = |actions: &[Action]| EventFilter { actions: actions.to_vec(), ..EventFilter::default() };
    assert_eq!(filtered(&database, of(&[Action::SignInFailed])).await, ["c"]);
    assert_eq!(filtered(&database, of(&[Action::SignInFailed, Action::SignedIn])).await, ["a", "c"]);
}

async fn insert_subjects(database: &Database) {
    for (kind, id, label) in [("user", Some(1), "u1"), ("user", Some(2), "u2"), ("role", Some(1), "r1")] {
        database.record(&NewEvent { subject: Subject::other(kind, id, label), ..an_event("") }).await;
    }
    database.record(&an_event("thing")).await;
}

pub async fn the_trail_is_filtered_by_kind_and_id_of_the_subject(database: Database) {
    insert_subjects(&database).await;
    let of = |kinds: &[&str], ids: &[i64]| EventFilter {
        subject_kinds: kinds.iter().map(ToString::to_string).collect(),
        subject_ids: ids.to_vec(),
        ..EventFilter::default()
    };
    assert_eq!(filtered(&database, of(&["role"], &[])).await, ["r1"]);
    assert_eq!(filtered(&database, of(&["thing", "user"], &[])).await, ["u1", "u2", "thing"]);
    assert_eq!(filtered(&database, of(&[], &[1])).await, ["u1", "r1"]);
    assert_eq!(filtered(&database, of(&["user"], &[1, 3])).await, ["u1"]);
    assert!(filtered(&database, of(&["USER"], &[])).await.is_empty());
}

pub async fn the_trail_is_filtered_by_a_half_open_span_of_time(database: Database) {
    for (label, seconds) in [("a", 1), ("b", 2), ("c", 3)] {
        database.record(&NewEvent { at: at(seconds), ..an_event(label) }).await;
    }
    let of = |from, until| EventFilter { at: Span { from, until }, ..EventFilter::default() };
    assert_eq!(filtered(&database, of(Some(at(2)), None)).await, ["b", "c"]);
    assert_eq!(filtered(&database, of(None, Some(at(2)))).await, ["a"]);
    assert_eq!(filtered(&database, of(Some(at(2)), Some(at(3)))).await, ["b"]);
}

pub async fn a_trail_search_looks_into_both_names_without_regard_to_ascii_case(database: Database) {
    database.record(&NewEvent { actor_name: "Anna-Maria".into(), ..an_event("press") }).await;
    database.record(&an_event("Anvil")).await;
    database.record(&an_event("100%")).await;
    database.record(&an_event("a_b")).await;
    database.record(&an_event(r"c\d")).await;
    let search = async |text: &str| {
        filtered(&database, EventFilter { search: Some(text.into()), ..EventFilter::default() }).await
    };
    assert_eq!(search("AN").await, ["press", "Anvil"]);
    assert_eq!(search("-mAR").await, ["press"]);
    assert_eq!(search("PRESS").await, ["press"]);
    for (text, expected) in [("%", "100%"), ("_", "a_b"), (r"\", r"c\d")] {
        assert_eq!(search(text).await, [expected], "{text}");
    }
}

pub async fn trail_filters_of_different_fields_must_all_hold(database: Database) {
    insert_subjects(&database).await;
    let filter = EventFilter {
        actors: Vec::new(),
        actions: vec![Action::UserCreated],
        subject_kinds: vec!["user".into(), "role".into()],
        subject_ids: vec![1],
        at: Span { from: Some(at(0)), until: Some(at(1)) },
        search: Some("U".into()),
    };
    // `setup`, who acted, has a `u` as well, so both subjects of that id are found by it.
    assert_eq!(filtered(&database, filter.clone()).await, ["u1", "r1"]);
    let narrower = EventFilter { search: Some("u1".into()), ..filter.clone() };
    assert_eq!(filtered(&database, narrower).await, ["u1"]);
    let by_nobody = EventFilter { actors: vec![nobody()], ..filter };
    assert!(filtered(&database, by_nobody).await.is_empty());
}
