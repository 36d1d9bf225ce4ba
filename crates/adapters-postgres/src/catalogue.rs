//! Metrics and shapes by number. Readings and heads name them so; here names become numbers and numbers names.
//!
//! Numbers are given once and never change, so what is known of them is kept in memory, shared by all links of a store. What
//! a unit of work has inserted itself it keeps to itself until it is committed: rolled back, the number could be anything's.

use crate::distinct::Distinct;
use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::{metrics, shapes};
use crate::statement::Statement;
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use domain::ports::StoreError;
use domain::telemetry::{MetricName, Shape};
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many metrics, and so many shapes, are kept in memory until it begins anew. Whoever sends other metrics with each reading must
/// not fill it.
const MOST: usize = 50_000;

/// Sorted by name, so that two units that need the same new metrics do not wait for each other in a circle.
const INSERT_METRICS: &str = "\
    INSERT INTO metrics (name, created_at, updated_at) \
    SELECT name, appeared_at, appeared_at FROM unnest(?::text[], ?::timestamptz[]) AS new (name, appeared_at) \
    ORDER BY name COLLATE \"C\" ON CONFLICT DO NOTHING RETURNING id, name";

/// Sets have different lengths, which an array of arrays cannot have, so each comes as text.
const INSERT_SHAPES: &str = "\
    INSERT INTO shapes (metrics) SELECT metrics::integer[] FROM unnest(?::text[]) AS new (metrics) \
    ORDER BY 1 ON CONFLICT DO NOTHING RETURNING id, metrics";

const FIND_SHAPES: &str = "\
    SELECT id, shapes.metrics FROM unnest(?::text[]) AS wanted (metrics) \
    JOIN shapes ON shapes.metrics = wanted.metrics::integer[]";

/// Names and numbers that belong together.
#[derive(Debug, Default)]
pub(crate) struct Known {
    metrics: HashMap<MetricName, i32>,
    names: HashMap<i32, MetricName>,
    shapes: HashMap<Shape, i32>,
    sets: HashMap<i32, Shape>,
}

impl Known {
    fn note_metric(&mut self, id: i32, name: MetricName) {
        self.metrics.insert(name.clone(), id);
        self.names.insert(id, name);
    }

    fn note_shape(&mut self, id: i32, shape: Shape) {
        self.shapes.insert(shape.clone(), id);
        self.sets.insert(id, shape);
    }

    /// Forgets what became too much. What one statement found is noted as a whole after that: it is asked for next.
    fn make_room(&mut self) {
        if self.names.len() >= MOST {
            self.metrics.clear();
            self.names.clear();
        }
        if self.sets.len() >= MOST {
            self.shapes.clear();
            self.sets.clear();
        }
    }
}

/// What is known to be committed.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(RwLock<Known>);

impl Catalogue {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// For what a statement found.
    fn noting(&self) -> RwLockWriteGuard<'_, Known> {
        let mut known = self.write();
        known.make_room();
        known
    }

    /// Forgets everything. A new connection may lead to another server, which took over without the newest commits.
    pub(crate) fn forget(&self) {
        *self.write() = Known::default();
    }

    /// Takes over what a unit of work had inserted, now that it is committed.
    pub(crate) fn learn(&self, committed: Known) {
        if committed.names.is_empty() && committed.sets.is_empty() {
            return;
        }
        let mut known = self.noting();
        committed.names.into_iter().for_each(|(id, name)| known.note_metric(id, name));
        committed.sets.into_iter().for_each(|(id, shape)| known.note_shape(id, shape));
    }
}

/// How a number is come by.
#[derive(Clone, Copy)]
enum Step {
    Find,
    Insert,
}

/// Looked for once more after the insert, because another unit may have been faster.
const STEPS: [Step; 3] = [Step::Find, Step::Insert, Step::Find];

/// Metrics or shapes, and from which instant on the catalogue shall know those metrics that it does not know yet.
type Appearing<What> = BTreeMap<What, Timestamp>;

impl Link {
    /// The numbers of these metrics. Makes known those that are not.
    pub(crate) async fn metric_ids(
        &mut self,
        mut appearing: Appearing<MetricName>,
    ) -> Result<HashMap<MetricName, i32>, StoreError> {
        let mut ids = HashMap::new();
        for step in STEPS {
            self.part_metrics(&mut appearing, &mut ids);
            if appearing.is_empty() {
                break;
            }
            match step {
                Step::Find => self.find_metrics(&appearing).await?,
                Step::Insert => self.insert_metrics(&appearing).await?,
            }
        }
        self.part_metrics(&mut appearing, &mut ids);
        Ok(ids)
    }

    /// The numbers of these shapes. Makes known those that are not, and their metrics.
    async fn shape_ids(
        &mut self,
        mut appearing: Appearing<Shape>,
    ) -> Result<HashMap<Shape, i32>, StoreError> {
        let mut ids = HashMap::new();
        self.part_shapes(&mut appearing, &mut ids);
        if appearing.is_empty() {
            return Ok(ids);
        }
        let mut metrics = Appearing::new();
        for (shape, at) in &appearing {
            metrics.extend(shape.metrics().iter().map(|metric| (metric.clone(), *at)));
        }
        let metrics = self.metric_ids(metrics).await?;
        for step in STEPS {
            if appearing.is_empty() {
                break;
            }
            let sets = Sets::of(appearing.keys(), &metrics)?;
            match step {
                Step::Find => self.find_shapes(sets).await?,
                Step::Insert => self.insert_shapes(sets).await?,
            }
            self.part_shapes(&mut appearing, &mut ids);
        }
        Ok(ids)
    }

    /// The numbers of these shapes in their order; each has the instant from which on its metrics are known.
    pub(crate) async fn shape_numbers(
        &mut self,
        shapes: &Distinct<Shape>,
        appeared_at: &[Timestamp],
    ) -> Result<Vec<i32>, StoreError> {
        let appearing = shapes.items().iter().cloned().zip(appeared_at.iter().copied()).collect();
        let ids = self.shape_ids(appearing).await?;
        let row = Row { table: "shapes", key: &"(a new one)" };
        shapes.items().iter().map(|shape| row.read("id", ids.get(shape).copied())).collect()
    }

    /// The shapes of these numbers.
    pub(crate) async fn shapes(&mut self, ids: BTreeSet<i32>) -> Result<HashMap<i32, Shape>, StoreError> {
        let mut found = known_among(&ids, &self.catalogue.read().sets, &self.fresh.sets);
        let unknown: Vec<i32> = ids.into_iter().filter(|id| !found.contains_key(id)).collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let sets = shapes::table.filter(shapes::id.eq_any(unknown)).select((shapes::id, shapes::metrics));
        let sets: Vec<(i32, Vec<i32>)> = self.all(sets).await?;
        let names = self.metric_names(sets.iter().flat_map(|(_, set)| set).copied().collect()).await?;
        let mut known = self.catalogue.noting();
        for (id, set) in sets {
            let row = Row { table: "shapes", key: &id };
            let metrics = set.iter().map(|metric| names.get(metric).cloned()).collect();
            let shape = Shape::new(row.read("metrics", metrics)?);
            known.note_shape(id, shape.clone());
            found.insert(id, shape);
        }
        Ok(found)
    }

    /// The names of these numbers.
    pub(crate) async fn metric_names(
        &mut self,
        ids: BTreeSet<i32>,
    ) -> Result<HashMap<i32, MetricName>, StoreError> {
        let mut found = known_among(&ids, &self.catalogue.read().names, &self.fresh.names);
        let unknown: Vec<i32> = ids.into_iter().filter(|id| !found.contains_key(id)).collect();
        if !unknown.is_empty() {
            let rows =
                metrics::table.filter(metrics::id.eq_any(unknown)).select((metrics::id, metrics::name));
            let rows = self.all::<(i32, String), _>(rows).await?;
            let mut known = self.catalogue.noting();
            for (id, name) in rows {
                let name = MetricName::restore(&name);
                known.note_metric(id, name.clone());
                found.insert(id, name);
            }
        }
        Ok(found)
    }

    /// Parts those whose number is known from those of which it is not.
    fn part_metrics(&self, unknown: &mut Appearing<MetricName>, ids: &mut HashMap<MetricName, i32>) {
        let known = self.catalogue.read();
        unknown.retain(|name, _| {
            let id = known.metrics.get(name).or_else(|| self.fresh.metrics.get(name));
            id.map(|id| ids.insert(name.clone(), *id)).is_none()
        });
    }

    fn part_shapes(&self, unknown: &mut Appearing<Shape>, ids: &mut HashMap<Shape, i32>) {
        let known = self.catalogue.read();
        unknown.retain(|shape, _| {
            let id = known.shapes.get(shape).or_else(|| self.fresh.shapes.get(shape));
            id.map(|id| ids.insert(shape.clone(), *id)).is_none()
        });
    }

    /// What is found was committed by somebody else: what this unit inserted itself is not looked for.
    async fn find_metrics(&mut self, wanted: &Appearing<MetricName>) -> Result<(), StoreError> {
        let names: Vec<&str> = wanted.keys().map(MetricName::as_str).collect();
        let rows = metrics::table.filter(metrics::name.eq_any(names)).select((metrics::id, metrics::name));
        let found = self.all::<(i32, String), _>(rows).await?;
        let mut known = self.catalogue.noting();
        for (id, name) in found {
            known.note_metric(id, MetricName::restore(&name));
        }
        Ok(())
    }

    async fn insert_metrics(&mut self, wanted: &Appearing<MetricName>) -> Result<(), StoreError> {
        let (names, instants): (Vec<_>, Vec<_>) =
            wanted.iter().map(|(name, at)| (name.as_str(), stamp(*at))).unzip();
        let rows = Statement::<(Integer, Text)>::new(INSERT_METRICS)
            .bind::<Array<Text>, _>(names)
            .bind::<Array<Timestamptz>, _>(instants);
        for (id, name) in self.all::<(i32, String), _>(rows).await? {
            self.fresh.note_metric(id, MetricName::restore(&name));
        }
        Ok(())
    }

    async fn find_shapes(&mut self, wanted: Sets<'_>) -> Result<(), StoreError> {
        let found = self.numbered(FIND_SHAPES, wanted).await?;
        let mut known = self.catalogue.noting();
        for (id, shape) in found {
            known.note_shape(id, shape);
        }
        Ok(())
    }

    async fn insert_shapes(&mut self, wanted: Sets<'_>) -> Result<(), StoreError> {
        for (id, shape) in self.numbered(INSERT_SHAPES, wanted).await? {
            self.fresh.note_shape(id, shape);
        }
        Ok(())
    }

    /// The shapes that the statement answers with their numbers.
    async fn numbered(
        &mut self,
        statement: &'static str,
        wanted: Sets<'_>,
    ) -> Result<Vec<(i32, Shape)>, StoreError> {
        let texts = wanted.0.keys().map(|set| array_text(set)).collect::<Vec<_>>();
        let rows = Statement::<(Integer, Array<Integer>)>::new(statement).bind::<Array<Text>, _>(texts);
        let rows: Vec<(i32, Vec<i32>)> = self.all(rows).await?;
        let shape = |set: &Vec<i32>| wanted.0.get(set).map(|shape| Shape::clone(shape));
        Ok(rows.iter().filter_map(|(id, set)| Some((*id, shape(set)?))).collect())
    }
}

/// What these numbers stand for, as far as it is known.
fn known_among<What: Clone>(
    ids: &BTreeSet<i32>,
    committed: &HashMap<i32, What>,
    fresh: &HashMap<i32, What>,
) -> HashMap<i32, What> {
    let known = |id: &i32| committed.get(id).or_else(|| fresh.get(id)).cloned();
    ids.iter().filter_map(|id| Some((*id, known(id)?))).collect()
}

/// The numbers as the text of an array.
fn array_text(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

/// Shapes by the numbers of their metrics.
struct Sets<'shape>(BTreeMap<Vec<i32>, &'shape Shape>);

impl<'shape> Sets<'shape> {
    fn of(
        shapes: impl Iterator<Item = &'shape Shape>,
        metrics: &HashMap<MetricName, i32>,
    ) -> Result<Self, StoreError> {
        let set = |shape: &'shape Shape| {
            let ids: Option<Vec<i32>> =
                shape.metrics().iter().map(|metric| metrics.get(metric).copied()).collect();
            Ok((Row { table: "metrics", key: &"(a new one)" }.read("id", ids)?, shape))
        };
        shapes.map(set).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: &str) -> Shape {
        Shape::new(vec![MetricName::restore(name)])
    }

    #[test]
    fn whoever_invents_metrics_without_end_does_not_fill_the_memory() {
        let catalogue = Catalogue::default();
        for number in 0..=i32::try_from(MOST).unwrap() {
            let name = format!("m{number}");
            catalogue.noting().note_metric(number, MetricName::restore(&name));
            catalogue.noting().note_shape(number, shape(&name));
        }
        let known = catalogue.read();
        assert_eq!((known.names.len(), known.metrics.len()), (1, 1));
        assert_eq!((known.sets.len(), known.shapes.len()), (1, 1));
    }

    #[test]
    fn what_one_statement_finds_is_known_as_a_whole() {
        let catalogue = Catalogue::default();
        let mut known = catalogue.noting();
        let numbers = 0..=i32::try_from(MOST).unwrap();
        numbers
            .clone()
            .for_each(|number| known.note_metric(number, MetricName::restore(&format!("m{number}"))));
        assert_eq!(known.names.len(), numbers.count());
    }

    #[test]
    fn what_was_learned_is_known_both_ways_until_it_is_forgotten() {
        let catalogue = Catalogue::default();
        let mut fresh = Known::default();
        fresh.note_metric(7, MetricName::restore("t"));
        fresh.note_shape(8, shape("t"));
        catalogue.learn(fresh);
        assert_eq!(catalogue.read().metrics.get(&MetricName::restore("t")), Some(&7));
        assert_eq!(catalogue.read().sets.get(&8), Some(&shape("t")));
        catalogue.forget();
        assert!(catalogue.read().names.is_empty() && catalogue.read().shapes.is_empty());
    }
}
