//! Lists of equipment: which pieces, in which order.

use crate::among::among;
use crate::equipment::with_heads;
use crate::lists::{any_of, cut_page, instr, then_by, within, within_days};
use crate::rows::{EquipmentRow, Place, Ranked};
use crate::schema::equipment;
use crate::work::Answer;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use domain::equipment::{Equipment, EquipmentFilter, EquipmentKey, EquipmentQuery, Reach};
use domain::id::EquipmentId;
use domain::page::{Order, Page, effective_order};
use domain::text::{Label, Location, SerialNumber, fold};

type Boxed<'a> = equipment::BoxedQuery<'a, Sqlite>;

/// A page of equipment.
pub(crate) fn page(connection: &mut SqliteConnection, query: &EquipmentQuery) -> Answer<Page<Equipment>> {
    let all = || matching(&query.filter);
    let (total, rows) =
        cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), EquipmentRow);
    Ok(Page { total, items: with_heads(connection, rows)? })
}

/// The ids of the pieces beyond one.
pub(crate) fn walk(
    connection: &mut SqliteConnection,
    filter: &EquipmentFilter,
    after: Option<EquipmentId>,
    limit: u32,
) -> Answer<Vec<EquipmentId>> {
    let ids: Vec<i64> = matching(filter)
        .filter(equipment::id.gt(after.map_or(0, |after| after.get())))
        .order(equipment::id)
        .limit(limit.into())
        .select(equipment::id)
        .load(connection)?;
    let place = Place { table: "equipment", row: "(listed)" };
    ids.into_iter().map(|id| Ok(place.sound("id", EquipmentId::new(id))?)).collect()
}

/// The ids of hidden equipment. Little is hidden, so what is not is told soonest by leaving this out.
#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn hidden() -> _ {
    equipment::table.filter(equipment::hidden_at.is_not_null()).select(equipment::id)
}

fn matching(filter: &EquipmentFilter) -> Boxed<'_> {
    let all = equipment::table.into_boxed();
    let all = if filter.hidden {
        all.filter(equipment::hidden_at.is_not_null())
    } else {
        all.filter(equipment::hidden_at.is_null())
    };
    let all = match &filter.reach {
        Reach::All => all,
        Reach::Only(pieces) => all.filter(among(equipment::id, pieces.iter().map(|piece| piece.get()))),
    };
    let all = any_of!(all, equipment::name_key, filter.names, Label::key);
    let all = any_of!(all, equipment::kind_key, filter.kinds, Label::key);
    let all = any_of!(all, equipment::model_key, filter.models, Label::key);
    let all = any_of!(all, equipment::manufacturer_key, filter.manufacturers, Label::key);
    let all = any_of!(all, equipment::serial_number_key, filter.serial_numbers, SerialNumber::key);
    let all = any_of!(all, equipment::status, filter.statuses, |status| status.rank());
    let all = any_of!(all, equipment::location, filter.locations, Location::as_str);
    let all = any_of!(all, equipment::parent_id, filter.parents, |parent: &EquipmentId| parent.get());
    let all = within_days!(all, equipment::installed_on, filter.installed);
    let all = within_days!(all, equipment::next_maintenance_on, filter.due);
    let all = within!(all, equipment::created_at, filter.created);
    let all = within!(all, equipment::updated_at, filter.updated);
    let all = match under_any(&filter.under) {
        Some(condition) => all.filter(condition),
        None => all,
    };
    searched(all, filter)
}

type Condition<'a> = Box<dyn BoxableExpression<equipment::table, Sqlite, SqlType = Bool> + 'a>;

/// What lies under a place follows its name and a `/` byte by byte; `0` is the byte after `/`. So the index finds it.
fn under(place: &Location) -> Condition<'_> {
    let location = equipment::location.assume_not_null();
    let below = location.gt(format!("{place}/")).and(location.lt(format!("{place}0")));
    Box::new(location.eq(place.as_str()).or(below))
}

/// Halves the places over and over, because SQLite bounds how deep a condition may be nested.
fn under_any(places: &[Location]) -> Option<Condition<'_>> {
    match places {
        [] => None,
        [place] => Some(under(place)),
        places => {
            let (some, others) = places.split_at(places.len() / 2);
            Some(Box::new(under_any(some)?.or(under_any(others)?)))
        }
    }
}

fn searched<'a>(query: Boxed<'a>, filter: &EquipmentFilter) -> Boxed<'a> {
    let Some(text) = filter.search.as_deref().map(fold) else {
        return query;
    };
    let in_name = instr(equipment::name_key, text.clone()).gt(0);
    let in_kind = instr(equipment::kind_key, text.clone()).gt(0);
    let in_model = instr(equipment::model_key.assume_not_null(), text.clone()).gt(0);
    let in_manufacturer = instr(equipment::manufacturer_key.assume_not_null(), text.clone()).gt(0);
    let in_serial = instr(equipment::serial_number_key.assume_not_null(), text.clone()).gt(0);
    let in_location = instr(equipment::location_key.assume_not_null(), text).gt(0);
    query.filter(in_name.or(in_kind).or(in_model).or(in_manufacturer).or(in_serial).or(in_location))
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<EquipmentKey>]) -> Boxed<'a> {
    effective_order(order, EquipmentKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        EquipmentKey::Id => then_by!(query, equipment::id, direction),
        EquipmentKey::Name => then_by!(query, equipment::name_key, direction),
        EquipmentKey::Kind => then_by!(query, equipment::kind_key, direction),
        EquipmentKey::Model => then_by!(query, equipment::model_key, direction),
        EquipmentKey::Manufacturer => then_by!(query, equipment::manufacturer_key, direction),
        EquipmentKey::SerialNumber => then_by!(query, equipment::serial_number_key, direction),
        EquipmentKey::Status => then_by!(query, equipment::status, direction),
        EquipmentKey::Location => then_by!(query, equipment::location, direction),
        EquipmentKey::InstalledOn => then_by!(query, equipment::installed_on, direction),
        EquipmentKey::NextMaintenanceOn => then_by!(query, equipment::next_maintenance_on, direction),
        EquipmentKey::CreatedAt => then_by!(query, equipment::created_at, direction),
        EquipmentKey::UpdatedAt => then_by!(query, equipment::updated_at, direction),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{empty_database, plan};
    use domain::equipment::Status;
    use domain::page::Direction;
    use domain::time::{Date, Days, Span, Timestamp};

    fn plan_of(filter: &EquipmentFilter, order: &[Order<EquipmentKey>]) -> String {
        plan(&mut empty_database(), ordered(matching(filter), order).limit(50))
    }

    #[test]
    fn a_list_of_all_equipment_is_read_in_the_order_asked_for() {
        let indexes = [
            (EquipmentKey::Id, ""),
            (EquipmentKey::Name, " USING INDEX equipment_name"),
            (EquipmentKey::Kind, " USING INDEX equipment_kind"),
            (EquipmentKey::Model, " USING INDEX equipment_model"),
            (EquipmentKey::Manufacturer, " USING INDEX equipment_manufacturer"),
            (EquipmentKey::SerialNumber, " USING INDEX sqlite_autoindex_equipment_1"),
            (EquipmentKey::Status, " USING INDEX equipment_status"),
            (EquipmentKey::Location, " USING INDEX equipment_location"),
            (EquipmentKey::InstalledOn, " USING INDEX equipment_installed_on"),
            (EquipmentKey::NextMaintenanceOn, " USING INDEX equipment_next_maintenance_on"),
            (EquipmentKey::CreatedAt, " USING INDEX equipment_created_at"),
            (EquipmentKey::UpdatedAt, " USING INDEX equipment_updated_at"),
        ];
        for (key, index) in indexes {
            let up = plan_of(&EquipmentFilter::default(), &[Order { key, direction: Direction::Ascending }]);
            assert_eq!(up, format!("SCAN equipment{index}"), "{key:?}");
            let down =
                plan_of(&EquipmentFilter::default(), &[Order { key, direction: Direction::Descending }]);
            let ties =
                if key == EquipmentKey::Id { "" } else { "; USE TEMP B-TREE FOR LAST TERM OF ORDER BY" };
            assert_eq!(down, format!("SCAN equipment{index}{ties}"), "{key:?}");
        }
    }

    #[test]
    fn equipment_that_a_filter_leaves_out_is_not_looked_at() {
        let label = || vec![Label::parse("a").unwrap()];
        let place = || vec![Location::parse("plant-1").unwrap()];
        let piece = EquipmentId::new(1).unwrap();
        let day = Date::parse("2026-05-04").ok();
        let days = Days { from: day, until: day };
        let span = Span { from: Some(Timestamp::MIN), until: Some(Timestamp::MAX) };
        let none = EquipmentFilter::default;
        let filters = [
            (EquipmentFilter { names: label(), ..none() }, "equipment_name (name_key=?)"),
            (EquipmentFilter { kinds: label(), ..none() }, "equipment_kind (kind_key=?)"),
            (EquipmentFilter { models: label(), ..none() }, "equipment_model (model_key=?)"),
            (
                EquipmentFilter { manufacturers: label(), ..none() },
                "equipment_manufacturer (manufacturer_key=?)",
            ),
            (
                EquipmentFilter { serial_numbers: vec![SerialNumber::parse("1").unwrap()], ..none() },
                "sqlite_autoindex_equipment_1 (serial_number_key=?)",
            ),
            (EquipmentFilter { statuses: vec![Status::Fault], ..none() }, "equipment_status (status=?)"),
            (EquipmentFilter { locations: place(), ..none() }, "equipment_location (location=?)"),
            (EquipmentFilter { under: place(), ..none() }, "equipment_location (location>? AND location<?)"),
            (EquipmentFilter { parents: vec![piece], ..none() }, "equipment_parent_id (parent_id=?)"),
            (
                EquipmentFilter { installed: days, ..none() },
                "equipment_installed_on (installed_on>? AND installed_on<?)",
            ),
            (
                EquipmentFilter { due: days, ..none() },
                "equipment_next_maintenance_on (next_maintenance_on>? AND next_maintenance_on<?)",
            ),
            (
                EquipmentFilter { created: span, ..none() },
                "equipment_created_at (created_at>? AND created_at<?)",
            ),
            (
                EquipmentFilter { updated: span, ..none() },
                "equipment_updated_at (updated_at>? AND updated_at<?)",
            ),
        ];
        for (filter, index) in filters {
            let plan = plan_of(&filter, &[]);
            assert!(plan.contains(&format!("SEARCH equipment USING INDEX {index}")), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
        let reach = EquipmentFilter { reach: Reach::Only(vec![piece]), ..none() };
        let plan = plan_of(&reach, &[]);
        assert!(plan.starts_with("SEARCH equipment USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
        let hidden = EquipmentFilter { hidden: true, ..none() };
        assert_eq!(plan_of(&hidden, &[]), "SCAN equipment USING INDEX equipment_hidden");
    }

    #[test]
    fn a_thousand_places_are_no_deeper_than_sqlite_takes() {
        let under = (0..1_500).map(|number| Location::parse(&number.to_string()).unwrap()).collect();
        let filter = EquipmentFilter { under, ..Default::default() };
        let found = matching(&filter).count().get_result::<i64>(&mut empty_database());
        assert_eq!(found, Ok(0));
    }
}
