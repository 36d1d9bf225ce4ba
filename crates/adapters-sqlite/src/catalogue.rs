//! The numbers under which metrics and shapes are stored. Nothing ever changes or removes one, so what was looked up once
//! is remembered for as long as the store is open.
//!
//! What a reader sees is committed, and it remembers it for all. What a unit of work sees may be its own and come to
//! nothing: it keeps that to itself until its commit. See `metrics.rs` for what people say about metrics.

use crate::among::{among, among_texts};
use crate::lists::PART;
use crate::rows::Place;
use crate::schema::{metrics, shape_metrics, shapes};
use crate::work::Answer;
use diesel::prelude::*;
use domain::id::Version;
use domain::telemetry::{MetricName, Shape};
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many metrics, and so many shapes, are remembered. Then it begins anew: whoever sends another set of metrics with each
/// reading shall not fill the memory.
const MOST: usize = 50_000;

/// Things and their numbers.
#[derive(Debug)]
struct Numbered<T> {
    numbers: HashMap<T, i64>,
    things: HashMap<i64, T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), things: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn learn(&mut self, pairs: impl IntoIterator<Item = (T, i64)>) {
        for (thing, number) in pairs {
            if self.numbers.len() >= MOST {
                *self = Self::default();
            }
            self.things.insert(number, thing.clone());
            self.numbers.insert(thing, number);
        }
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Known {
    metrics: Numbered<MetricName>,
    shapes: Numbered<Shape>,
}

/// What is known to all, and what one unit of work alone knows.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    shared: Arc<Mutex<Known>>,
    own: Option<Arc<Mutex<Known>>>,
}

impl Catalogue {
    /// For whoever sees nothing but what is committed.
    pub(crate) fn of_reader(shared: &Arc<Mutex<Known>>) -> Self {
        Self { shared: Arc::clone(shared), own: None }
    }

    /// For a unit of work.
    pub(crate) fn of_unit(shared: &Arc<Mutex<Known>>) -> Self {
        Self { shared: Arc::clone(shared), own: Some(Arc::default()) }
    }

    /// Lets all know what the unit of work knew: it is committed.
    pub(crate) fn publish(&self) {
        if let Some(own) = &self.own {
            let Known { metrics, shapes } = std::mem::take(&mut *held(own));
            let mut shared = held(&self.shared);
            shared.metrics.learn(metrics.numbers);
            shared.shapes.learn(shapes.numbers);
        }
    }

    fn learn(&self, learn: impl FnOnce(&mut Known)) {
        learn(&mut held(self.own.as_ref().unwrap_or(&self.shared)));
    }

    /// What is known about each of these, and which of them are unknown.
    fn recall<K: Clone + Eq + Hash, V: Clone>(
        &self,
        wanted: impl IntoIterator<Item = K>,
        known: impl Fn(&Known) -> &HashMap<K, V>,
    ) -> (HashMap<K, V>, HashSet<K>) {
        let shared = held(&self.shared);
        let own = self.own.as_ref().map(held);
        let (mut found, mut missing) = (HashMap::new(), HashSet::new());
        for key in wanted {
            let value =
                known(&shared).get(&key).or_else(|| own.as_ref().and_then(|own| known(own).get(&key)));
            match value {
                Some(value) => drop(found.insert(key, value.clone())),
                None => drop(missing.insert(key)),
            }
        }
        (found, missing)
    }

    /// The number of this metric, if anything ever measured it.
    pub(crate) fn metric(&self, connection: &mut SqliteConnection, name: &MetricName) -> Answer<Option<i64>> {
        let (mut found, missing) = self.recall([name.clone()], |known| &known.metrics.numbers);
        found.extend(self.find_metrics(connection, missing.iter())?);
        Ok(found.remove(name))
    }

    /// The numbers of these metrics. One that is new appears at the instant beside it.
    pub(crate) fn metrics(
        &self,
        connection: &mut SqliteConnection,
        appearing: &HashMap<MetricName, Timestamp>,
    ) -> Answer<HashMap<MetricName, i64>> {
        let (mut found, mut missing) = self.recall(appearing.keys().cloned(), |known| &known.metrics.numbers);
        if missing.is_empty() {
            return Ok(found);
        }
        found.extend(self.find_metrics(connection, missing.iter())?);
        missing.retain(|name| !found.contains_key(name));
        let new: Vec<_> = appearing.iter().filter(|(name, _)| missing.contains(*name)).collect();
        for part in new.chunks(PART / 2) {
            let made: Vec<(i64, String)> = diesel::insert_into(metrics::table)
                .values(part.iter().map(|(name, at)| new_metric(name, **at)).collect::<Vec<_>>())
                .returning((metrics::id, metrics::name))
                .get_results(connection)?;
            found.extend(self.learn_metrics(made));
        }
        Ok(found)
    }

    fn find_metrics<'a>(
        &self,
        connection: &mut SqliteConnection,
        names: impl ExactSizeIterator<Item = &'a MetricName>,
    ) -> Answer<HashMap<MetricName, i64>> {
        if names.len() == 0 {
            return Ok(HashMap::new());
        }
        let named = metrics::table.filter(among_texts(metrics::name, names.map(MetricName::as_str)));
        Ok(self.learn_metrics(named.select((metrics::id, metrics::name)).load(connection)?))
    }

    fn learn_metrics(&self, rows: Vec<(i64, String)>) -> HashMap<MetricName, i64> {
        let found: HashMap<_, _> =
            rows.into_iter().map(|(number, name)| (MetricName::restore(&name), number)).collect();
        self.learn(|known| known.metrics.learn(found.clone()));
        found
    }

    /// The names of the metrics with these numbers, as far as there are such metrics.
    pub(crate) fn names(
        &self,
        connection: &mut SqliteConnection,
        numbers: impl IntoIterator<Item = i64>,
    ) -> Answer<HashMap<i64, MetricName>> {
        let (mut found, missing) = self.recall(numbers, |known| &known.metrics.things);
        if !missing.is_empty() {
            let numbered = metrics::table.filter(among(metrics::id, missing));
            let rows = numbered.select((metrics::id, metrics::name)).load(connection)?;
            found.extend(self.learn_metrics(rows).into_iter().map(|(name, number)| (number, name)));
        }
        Ok(found)
    }

    /// The numbers of these shapes. What is new among them and their metrics appears at the instant beside it.
    pub(crate) fn shapes(
        &self,
        connection: &mut SqliteConnection,
        appearing: &HashMap<Shape, Timestamp>,
    ) -> Answer<HashMap<Shape, i64>> {
        let (mut found, missing) = self.recall(appearing.keys().cloned(), |known| &known.shapes.numbers);
        if missing.is_empty() {
            return Ok(found);
        }
        let mut names = HashMap::new();
        for (shape, at) in appearing.iter().filter(|(shape, _)| missing.contains(*shape)) {
            names.extend(shape.metrics().iter().map(|name| (name.clone(), *at)));
        }
        let numbers = self.metrics(connection, &names)?;
        let mut spelled: HashMap<String, Shape> =
            missing.into_iter().map(|shape| (spell(&shape, &numbers), shape)).collect();
        let there = shapes::table.filter(among_texts(shapes::metrics, spelled.keys()));
        let mut rows: Vec<(i64, String)> = there.select((shapes::id, shapes::metrics)).load(connection)?;
        rows.extend(insert_shapes(connection, &spelled, &rows)?);
        let numbered: HashMap<Shape, i64> = rows
            .into_iter()
            .filter_map(|(number, spelling)| Some((spelled.remove(&spelling)?, number)))
            .collect();
        self.learn(|known| known.shapes.learn(numbered.clone()));
        found.extend(numbered);
        Ok(found)
    }

    /// The shapes with these numbers, as far as there are such shapes.
    pub(crate) fn shapes_numbered(
        &self,
        connection: &mut SqliteConnection,
        numbers: impl IntoIterator<Item = i64>,
    ) -> Answer<HashMap<i64, Shape>> {
        let (mut found, missing) = self.recall(numbers, |known| &known.shapes.things);
        if missing.is_empty() {
            return Ok(found);
        }
        let numbered = shapes::table.filter(among(shapes::id, missing));
        let rows: Vec<(i64, String)> = numbered.select((shapes::id, shapes::metrics)).load(connection)?;
        let names = self.names(connection, rows.iter().flat_map(|(_, spelling)| metrics_of(spelling)))?;
        let mut read = HashMap::new();
        for (number, spelling) in rows {
            let place = Place { table: "shapes", row: number };
            let metrics: Option<Vec<_>> =
                metrics_of(&spelling).map(|number| names.get(&number).cloned()).collect();
            // Numbers of readings stand in this order: a spelling in any other would mix them up.
            let sorted = metrics.filter(|metrics| metrics.is_sorted_by(|one, next| one < next));
            read.insert(number, Shape::new(place.sound("metrics", sorted)?));
        }
        self.learn(|known| {
            known.shapes.learn(read.iter().map(|(number, shape)| (shape.clone(), *number)));
        });
        found.extend(read);
        Ok(found)
    }
}

/// What is known stays whole if a thread that holds it panics: every entry is true by itself.
fn held<T>(mutex: &Arc<Mutex<T>>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Insertable)]
#[diesel(table_name = metrics, treat_none_as_default_value = false)]
struct NewMetric<'a> {
    name: &'a str,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

fn new_metric(name: &MetricName, at: Timestamp) -> NewMetric<'_> {
    let at = at.micros();
    NewMetric { name: name.as_str(), version: Version::FIRST.get(), created_at: at, updated_at: at }
}

/// The shape as text: the numbers of its metrics, in its order.
fn spell(shape: &Shape, numbers: &HashMap<MetricName, i64>) -> String {
    let numbers: Vec<String> =
        shape.metrics().iter().filter_map(|name| numbers.get(name)).map(ToString::to_string).collect();
    numbers.join(" ")
}

fn metrics_of(spelling: &str) -> impl Iterator<Item = i64> {
    // What is no number is the number of no metric, and is noticed as such.
    spelling.split_ascii_whitespace().map(|number| number.parse().unwrap_or_default())
}

/// Stores the shapes that are not among these rows.
fn insert_shapes(
    connection: &mut SqliteConnection,
    spelled: &HashMap<String, Shape>,
    there: &[(i64, String)],
) -> Answer<Vec<(i64, String)>> {
    let there: HashSet<&String> = there.iter().map(|(_, spelling)| spelling).collect();
    let new: Vec<&String> = spelled.keys().filter(|spelling| !there.contains(spelling)).collect();
    let mut made: Vec<(i64, String)> = Vec::with_capacity(new.len());
    for part in new.chunks(PART) {
        let rows: Vec<_> = part.iter().map(|spelling| shapes::metrics.eq(*spelling)).collect();
        let insert = diesel::insert_into(shapes::table).values(rows);
        made.extend(
            insert.returning((shapes::id, shapes::metrics)).get_results::<(i64, String)>(connection)?,
        );
    }
    let members = made.iter().flat_map(|(shape, spelling)| {
        metrics_of(spelling)
            .map(|metric| (shape_metrics::metric_id.eq(metric), shape_metrics::shape_id.eq(*shape)))
    });
    for part in members.collect::<Vec<_>>().chunks(PART) {
        diesel::insert_into(shape_metrics::table).values(part).execute(connection)?;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::empty_database;
    use diesel::connection::SimpleConnection;
    use domain::ports::StoreError;

    fn named(names: &[&str]) -> HashMap<MetricName, Timestamp> {
        names.iter().map(|name| (MetricName::restore(name), Timestamp::MIN)).collect()
    }

    fn shape(names: &[&str]) -> Shape {
        Shape::new(names.iter().map(|name| MetricName::restore(name)).collect())
    }

    #[test]
    fn what_came_to_nothing_is_not_remembered() {
        let (mut connection, shared) = (empty_database(), Arc::default());
        connection.batch_execute("BEGIN").unwrap();
        let undone = Catalogue::of_unit(&shared).metrics(&mut connection, &named(&["a"])).unwrap();
        connection.batch_execute("ROLLBACK").unwrap();
        let unit = Catalogue::of_unit(&shared);
        let done = unit.metrics(&mut connection, &named(&["b"])).unwrap();
        unit.publish();
        let (a, b) = (MetricName::restore("a"), MetricName::restore("b"));
        assert_eq!(undone.get(&a), done.get(&b), "the number is given again");
        let reader = Catalogue::of_reader(&shared);
        assert_eq!(reader.metric(&mut connection, &a).unwrap(), None);
        let number = done.get(&b).copied().unwrap();
        assert_eq!(reader.names(&mut connection, [number]).unwrap(), HashMap::from([(number, b)]));
    }

    #[test]
    fn what_is_published_or_was_read_once_is_not_asked_for_again() {
        let (mut connection, shared) = (empty_database(), Arc::default());
        let unit = Catalogue::of_unit(&shared);
        let new = HashMap::from([(shape(&["a", "b"]), Timestamp::MIN)]);
        let made = unit.shapes(&mut connection, &new).unwrap();
        unit.publish();
        let reread = Arc::default();
        let number = made.get(&shape(&["b", "a"])).copied().unwrap();
        Catalogue::of_reader(&reread).shapes_numbered(&mut connection, [number]).unwrap();
        for shared in [shared, reread] {
            let elsewhere = &mut empty_database();
            let reader = Catalogue::of_reader(&shared);
            let expected = HashMap::from([(number, shape(&["a", "b"]))]);
            assert_eq!(reader.shapes_numbered(elsewhere, [number]).unwrap(), expected);
            assert!(reader.metric(elsewhere, &MetricName::restore("b")).unwrap().is_some());
        }
    }

    #[test]
    fn metrics_that_come_together_in_any_order_are_one_shape() {
        let mut connection = empty_database();
        let all = Catalogue::of_unit(&Arc::default());
        let first = HashMap::from([(shape(&["b"]), Timestamp::MIN), (shape(&["b", "a"]), Timestamp::MIN)]);
        let numbers = all.shapes(&mut connection, &first).unwrap();
        let forgetful = Catalogue::of_unit(&Arc::default());
        let again = HashMap::from([(shape(&["a", "b"]), Timestamp::MAX)]);
        let found = forgetful.shapes(&mut connection, &again).unwrap();
        assert_eq!(found.get(&shape(&["a", "b"])), numbers.get(&shape(&["a", "b"])));
        let stored: i64 = shapes::table.count().get_result(&mut connection).unwrap();
        assert_eq!(stored, 2);
    }

    #[test]
    fn a_shape_out_of_order_or_of_unknown_metrics_is_named() {
        let mut connection = empty_database();
        let all = Catalogue::of_reader(&Arc::default());
        all.metrics(&mut connection, &named(&["a"])).unwrap();
        all.metrics(&mut connection, &named(&["b"])).unwrap();
        for spelling in ["2 1", "1 1", "1 3", "1 x"] {
            connection
                .batch_execute(&format!("DELETE FROM shapes; INSERT INTO shapes VALUES (9, '{spelling}')"))
                .unwrap();
            let refused = StoreError::from(all.shapes_numbered(&mut connection, [9]).unwrap_err());
            assert!(matches!(refused, StoreError::Corrupt { table: "shapes", .. }), "{spelling}");
        }
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let mut numbered = Numbered::default();
        numbered.learn((0..).map(|number| (number, number)).take(MOST + 1));
        assert_eq!((numbered.numbers.len(), numbered.things.len()), (1, 1));
    }
}
