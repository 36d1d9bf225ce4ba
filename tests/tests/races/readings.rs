//! Races about readings: what is sent more than once, and what is sent in parts.

use crate::ROUNDS;
use crate::plant::{Plant, above, at, codes, details, register, right, send, sent, temperature};
use domain::app::ingest::{self, Sent};
use domain::equipment::{Details, EquipmentRef};
use domain::error::Code;
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::rules::Target;
use domain::telemetry::{MetricName, OnConflict, Tags, Values};
use domain::text::SerialNumber;
use futures_util::future::join_all;

const SENDERS: usize = 10;
const MACHINES: usize = 8;
const READINGS: usize = 40;

pub(crate) async fn a_batch_sent_again_and_again_in_any_order_is_stored_once(plant: Plant) {
    plant.rule(above(80.0, Target::All)).await;
    let machines: Vec<EquipmentId> = join_all((0..MACHINES).map(|number| numbered(&plant, number))).await;
    for round in 0..ROUNDS {
        let batch: Vec<Sent> = (0..READINGS).map(|number| nth(&machines, round, number)).collect();
        let results = plant
            .at_once(SENDERS, |app, sender| {
                let batch = permuted(&batch, sender);
                async move { send(&app, batch).await }
            })
            .await;
        assert_eq!(codes(&results), [], "round {round}");
        let counts: Vec<_> = results.into_iter().flatten().collect();
        let accepted: u64 = counts.iter().map(|counts| counts.accepted).sum();
        let duplicates: u64 = counts.iter().map(|counts| counts.duplicates).sum();
        assert_eq!(
            (accepted, duplicates),
            (READINGS as u64, (READINGS * (SENDERS - 1)) as u64),
            "round {round}"
        );
    }
    for machine in machines {
        assert_eq!(plant.readings_of(machine).await.len(), ROUNDS * READINGS / MACHINES);
        let told: Vec<_> =
            plant.alerts_on(machine).await.iter().map(|alert| alert.what.occurrences).collect();
        assert_eq!(told, vec![1; ROUNDS], "each round has one breach and a good value after it");
    }
}

async fn numbered(plant: &Plant, number: usize) -> EquipmentId {
    let serial_number = SerialNumber::parse(&format!("HP-{number}")).ok();
    register(&plant.app, Details { serial_number, ..details("Press") }).await.unwrap().id
}

/// One of five readings of each machine; the second one is too hot.
fn nth(machines: &[EquipmentId], round: usize, number: usize) -> Sent {
    let (machine, turn) = (number % MACHINES, number / MACHINES);
    let value = if turn == 1 { 90.0 } else { 20.0 };
    let reading = sent(machines[machine], (round * 100 + turn) as i64, value);
    if number.is_multiple_of(3) {
        let serial = SerialNumber::parse(&format!("hp-{machine}")).unwrap();
        return Sent { equipment: EquipmentRef::Serial(serial), ..reading };
    }
    reading
}

/// The same readings in an order of this sender's own.
fn permuted(batch: &[Sent], sender: usize) -> Vec<Sent> {
    let stride = [1, 3, 7, 9, 11, 13, 17, 19, 21, 23][sender % 10];
    let place = |number: usize| (number * stride + sender) % batch.len();
    (0..batch.len()).map(|number| batch[place(number)].clone()).collect()
}

pub(crate) async fn metrics_of_one_instant_sent_apart_become_one_reading(plant: Plant) {
    let names: Vec<MetricName> =
        (0..20).map(|number| MetricName::parse(&format!("axis_{number}")).unwrap()).collect();
    for round in 0..ROUNDS {
        let machine = plant.machine("Robot").await;
        let results = plant
            .at_once(names.len() + 1, |app, number| {
                // The last one contradicts the first one.
                let (name, value) = (names[number % names.len()].clone(), (number / names.len()) as f64);
                async move {
                    let values = Values::of(vec![(name, value), (temperature(), 20.0)]).unwrap();
                    let equipment = EquipmentRef::Id(machine);
                    let sent = Sent { equipment, at: Some(at(0)), values, tags: Tags::new() };
                    ingest::one(&app, right(), sent, OnConflict::Refuse, Once::each_time()).await
                }
            })
            .await;
        assert_eq!(codes(&results), [Code::DifferentValue], "round {round}");
        let stored = plant.readings_of(machine).await;
        assert_eq!(stored.len(), 1, "round {round}");
        assert_eq!(stored[0].values.shape().metrics().len(), names.len() + 1, "round {round}");
    }
}
