//! Promises about which equipment a list is about. How lists are ordered and cut is in `equipment_lists`.

use crate::Database;
use crate::builders::{a_piece, at, day, label, location, no_piece, serial, some_details};
use crate::equipment_lists::asked;
use domain::equipment::{Details, Equipment, EquipmentFilter, EquipmentQuery, NewEquipment, Reach, Status};
use domain::id::EquipmentId;
use domain::text::Label;
use domain::time::{Days, Span};

async fn filtered(database: &Database, filter: EquipmentFilter) -> Vec<String> {
    asked(database, EquipmentQuery { filter, ..EquipmentQuery::default() }).await
}

async fn searched(database: &Database, text: &str) -> Vec<String> {
    filtered(database, EquipmentFilter { search: Some(text.into()), ..Default::default() }).await
}

pub async fn equipment_is_filtered_by_its_labels_however_they_are_spelled(database: Database) {
    let with = |name: &str, text: &str| Details {
        kind: label(text),
        model: Some(label(&format!("{text} 2"))),
        manufacturer: Some(label(&format!("{text} 3"))),
        ..some_details(name)
    };
    database.piece_of(with("Straße", "Preß")).await;
    database.piece_of(with("robot", "robot")).await;
    database.piece("bare").await;
    let labels = |texts: &[&str]| -> Vec<Label> { texts.iter().map(|text| label(text)).collect() };
    let by_name = |texts: &[&str]| EquipmentFilter { names: labels(texts), ..Default::default() };
    let by_kind = |texts: &[&str]| EquipmentFilter { kinds: labels(texts), ..Default::default() };
    let by_model = |texts: &[&str]| EquipmentFilter { models: labels(texts), ..Default::default() };
    let by_maker = |texts: &[&str]| EquipmentFilter { manufacturers: labels(texts), ..Default::default() };
    assert_eq!(filtered(&database, by_name(&["STRASSE"])).await, ["Straße"]);
    assert_eq!(filtered(&database, by_name(&["bare", "nothing", "ROBOT"])).await, ["robot", "bare"]);
    assert_eq!(filtered(&database, by_kind(&["PRESS"])).await, ["Straße"]);
    assert_eq!(filtered(&database, by_kind(&["press", "Robot"])).await, ["Straße", "robot", "bare"]);
    assert_eq!(filtered(&database, by_model(&["PRESS 2"])).await, ["Straße"]);
    assert_eq!(filtered(&database, by_model(&["ROBOT 2", "preß 2"])).await, ["Straße", "robot"]);
    assert_eq!(filtered(&database, by_maker(&["ＰRESS 3"])).await, ["Straße"]);
    assert_eq!(filtered(&database, by_maker(&["Robot 3", "press"])).await, ["robot"]);
    for nothing in [by_name(&["rob"]), by_kind(&["rob"]), by_model(&["robot"]), by_maker(&["robot"])] {
        assert!(filtered(&database, nothing).await.is_empty());
    }
}

pub async fn equipment_is_filtered_by_serial_number_and_state(database: Database) {
    for (name, number, status) in
        [("a", Some("SN-ß"), Status::Idle), ("b", Some("SN-2"), Status::Fault), ("c", None, Status::Idle)]
    {
        let details = Details { serial_number: number.map(serial), status, ..some_details(name) };
        database.piece_of(details).await;
    }
    let of = |numbers: &[&str]| EquipmentFilter {
        serial_numbers: numbers.iter().map(|number| serial(number)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, of(&["sn-SS"])).await, ["a"]);
    assert_eq!(filtered(&database, of(&["sn-2", "SN-ß", "SN"])).await, ["a", "b"]);
    let of = |statuses: &[Status]| EquipmentFilter { statuses: statuses.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[Status::Idle])).await, ["a", "c"]);
    assert_eq!(filtered(&database, of(&[Status::Fault, Status::Offline])).await, ["b"]);
}

/// Pieces at these places, named after them.
async fn placed(database: &Database, places: &[&str]) {
    for place in places {
        database.piece_of(Details { location: Some(location(place)), ..some_details(place) }).await;
    }
    database.piece("nowhere").await;
}

pub async fn equipment_is_filtered_by_exactly_its_location(database: Database) {
    placed(&database, &["plant/a", "plant", "Plant", "plant/a/b"]).await;
    let at = |places: &[&str]| EquipmentFilter {
        locations: places.iter().map(|place| location(place)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, at(&["plant"])).await, ["plant"]);
    assert_eq!(filtered(&database, at(&["Plant", "other", "plant/a"])).await, ["plant/a", "Plant"]);
}

pub async fn equipment_is_filtered_by_what_its_location_lies_under(database: Database) {
    placed(
        &database,
        &[
            "plant/a",
            "plant",
            "Plant/a",
            "plant-2/a",
            "plant/a/b",
            "plant/ab",
            "p%/a",
            "p_/a",
            "pq/a",
            r"p\/a",
            "zażółć/я",
        ],
    )
    .await;
    let under = |places: &[&str]| EquipmentFilter {
        under: places.iter().map(|place| location(place)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, under(&["plant"])).await, ["plant/a", "plant", "plant/a/b", "plant/ab"]);
    assert_eq!(filtered(&database, under(&["plant/a"])).await, ["plant/a", "plant/a/b"]);
    assert_eq!(filtered(&database, under(&["plant/a/b", "Plant"])).await, ["Plant/a", "plant/a/b"]);
    assert_eq!(filtered(&database, under(&["zażółć"])).await, ["zażółć/я"]);
    for (place, expected) in [("p%", "p%/a"), ("p_", "p_/a"), (r"p\", r"p\/a")] {
        assert_eq!(filtered(&database, under(&[place])).await, [expected]);
    }
    assert!(filtered(&database, under(&["a"])).await.is_empty());
    let both = EquipmentFilter { locations: vec![location("plant")], ..under(&["plant/a"]) };
    assert!(filtered(&database, both).await.is_empty());
}

pub async fn equipment_is_filtered_by_what_it_is_a_component_of(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for (name, parent) in [("a", press), ("b", robot), ("c", press)] {
        database.piece_of(Details { parent: Some(parent), ..some_details(name) }).await;
    }
    let of = |parents: &[EquipmentId]| EquipmentFilter { parents: parents.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[press])).await, ["a", "c"]);
    assert_eq!(filtered(&database, of(&[press, no_piece(), robot])).await, ["a", "b", "c"]);
    assert!(filtered(&database, of(&[no_piece()])).await.is_empty());
}

pub async fn equipment_is_filtered_by_half_open_spans_of_days(database: Database) {
    let dates = ["2026-05-03", "2026-05-04", "2026-05-05"];
    for (name, date) in ["a", "b", "c"].into_iter().zip(dates) {
        let details = Details { installed_on: Some(day(date)), ..some_details(name) };
        let id = database.piece_of(details).await;
        database.due(id, date).await;
    }
    database.piece("undated").await;
    for (from, until, expected) in [
        (Some(dates[1]), None, vec!["b", "c"]),
        (None, Some(dates[1]), vec!["a"]),
        (Some(dates[1]), Some(dates[2]), vec!["b"]),
        (Some(dates[1]), Some(dates[1]), vec![]),
        (None, None, vec!["a", "b", "c", "undated"]),
    ] {
        let days = Days { from: from.map(day), until: until.map(day) };
        let installed = EquipmentFilter { installed: days, ..Default::default() };
        assert_eq!(filtered(&database, installed).await, expected);
        let due = EquipmentFilter { due: days, ..Default::default() };
        assert_eq!(filtered(&database, due).await, expected);
    }
}

pub async fn equipment_is_filtered_by_half_open_spans_of_creation_and_writing(database: Database) {
    for (name, second) in [("a", 1), ("b", 2), ("c", 3)] {
        let piece = database.register(&NewEquipment { created_at: at(second), ..a_piece(name) }).await;
        database.save_equipment(&Equipment { updated_at: at(second + 10), ..piece }).await;
    }
    for (from, until, expected) in
        [(Some(2), None, vec!["b", "c"]), (None, Some(2), vec!["a"]), (Some(2), Some(3), vec!["b"])]
    {
        let created = Span { from: from.map(at), until: until.map(at) };
        let made = EquipmentFilter { created, ..Default::default() };
        assert_eq!(filtered(&database, made).await, expected);
        let later = |second: i64| at(second + 10);
        let updated = Span { from: from.map(later), until: until.map(later) };
        let written = EquipmentFilter { updated, ..Default::default() };
        assert_eq!(filtered(&database, written).await, expected);
    }
}

pub async fn an_equipment_search_looks_into_every_text_without_regard_to_case(database: Database) {
    let full = Details {
        kind: label("Kind"),
        model: Some(label("Modell")),
        manufacturer: Some(label("Größe & Co")),
        serial_number: Some(serial("SN-Ω")),
        location: Some(location("Цех/Line")),
        ..some_details("Straße")
    };
    database.piece_of(full).await;
    database.piece("other").await;
    for text in ["STRASSE", "kin", "MODELL", "grösse", "sn-ω", "цЕХ/l"] {
        assert_eq!(searched(&database, text).await, ["Straße"], "{text}");
    }
    assert_eq!(searched(&database, "O").await, ["Straße", "other"]);
    // What is found spans no two texts, and free facts are not looked into.
    for text in ["straße kind", "{}", "operational"] {
        assert!(searched(&database, text).await.is_empty(), "{text}");
    }
}

pub async fn an_equipment_search_takes_every_character_literally(database: Database) {
    for name in ["100%", "a_b", r"c\d", "axb", "1000"] {
        database.piece(name).await;
    }
    for (text, expected) in [("%", "100%"), ("_", "a_b"), (r"\", r"c\d")] {
        assert_eq!(searched(&database, text).await, [expected], "{text}");
    }
}

pub async fn hidden_equipment_is_listed_only_where_it_is_asked_for(database: Database) {
    let hidden = database.piece("hidden").await;
    database.piece("seen").await;
    database.hide(hidden).await;
    assert_eq!(asked(&database, EquipmentQuery::default()).await, ["seen"]);
    let of_hidden = EquipmentFilter { hidden: true, ..Default::default() };
    assert_eq!(filtered(&database, of_hidden).await, ["hidden"]);
    database.restore(hidden).await;
    assert_eq!(asked(&database, EquipmentQuery::default()).await, ["hidden", "seen"]);
}

pub async fn a_list_of_equipment_reaches_no_further_than_the_caller(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "b", "c"] {
        pieces.push(database.piece(name).await);
    }
    let within =
        |reach: &[EquipmentId]| EquipmentFilter { reach: Reach::Only(reach.to_vec()), ..Default::default() };
    assert_eq!(filtered(&database, within(&[pieces[0], pieces[2]])).await, ["a", "c"]);
    assert_eq!(filtered(&database, within(&[pieces[1], no_piece()])).await, ["b"]);
    assert!(filtered(&database, within(&[])).await.is_empty());
    let named = EquipmentFilter { names: vec![label("a"), label("b")], ..within(&pieces[1..]) };
    assert_eq!(filtered(&database, named).await, ["b"]);
}

pub async fn filters_of_equipment_must_all_hold(database: Database) {
    let line = database.piece("line").await;
    let whole = Details {
        model: Some(label("m")),
        manufacturer: Some(label("maker")),
        installed_on: Some(day("2026-05-04")),
        location: Some(location("plant/a")),
        parent: Some(line),
        ..some_details("press")
    };
    let pieces = [
        whole.clone(),
        Details { name: label("other"), ..whole.clone() },
        Details { kind: label("other"), ..whole.clone() },
        Details { model: None, ..whole.clone() },
        Details { manufacturer: Some(label("other")), ..whole.clone() },
        Details { status: Status::Fault, ..whole.clone() },
        Details { location: Some(location("plant/b")), ..whole.clone() },
        Details { parent: None, ..whole.clone() },
        Details { installed_on: None, ..whole },
    ];
    let mut ids = Vec::new();
    for details in pieces {
        let id = database.piece_of(details).await;
        database.due(id, "2027-01-01").await;
        ids.push(id);
    }
    let filter = EquipmentFilter {
        names: vec![label("press")],
        kinds: vec![label("robot")],
        models: vec![label("m")],
        manufacturers: vec![label("maker")],
        serial_numbers: Vec::new(),
        statuses: vec![Status::Operational],
        locations: vec![location("plant/a")],
        under: vec![location("plant")],
        parents: vec![line],
        installed: Days { from: Some(day("2026-05-04")), until: None },
        due: Days { from: None, until: Some(day("2027-01-02")) },
        created: Span { from: Some(at(0)), until: None },
        updated: Span { from: None, until: Some(at(1)) },
        search: Some("PRESS".into()),
        hidden: false,
        reach: Reach::Only(ids.clone()),
    };
    let query = EquipmentQuery { filter: filter.clone(), ..Default::default() };
    let answer = database.reader().await.equipment().list(&query).await.unwrap();
    assert_eq!(answer.items.iter().map(|piece| piece.id).collect::<Vec<_>>(), ids[..1]);
    for nothing in [
        EquipmentFilter { reach: Reach::Only(ids[1..].to_vec()), ..filter.clone() },
        EquipmentFilter { serial_numbers: vec![serial("SN")], ..filter.clone() },
        EquipmentFilter { hidden: true, ..filter.clone() },
        EquipmentFilter { created: Span { from: Some(at(1)), until: None }, ..filter.clone() },
        EquipmentFilter { updated: Span { from: Some(at(1)), until: None }, ..filter.clone() },
        EquipmentFilter { due: Days { from: Some(day("2027-01-02")), until: None }, ..filter.clone() },
        EquipmentFilter { search: Some("other".into()), ..filter },
    ] {
        assert!(filtered(&database, nothing).await.is_empty());
    }
}
