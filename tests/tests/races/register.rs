//! Races about the register: who gets a serial number, what is part of what, and equipment that vanishes while it reports.

use crate::ROUNDS;
use crate::plant::{Plant, at, codes, details, register, right, send, sent};
use domain::access::rights::WriteData;
use domain::app::ingest::{self, Sent};
use domain::app::{App, equipment};
use domain::equipment::{Details, EquipmentChange};
use domain::error::{Code, Error};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::patch::{Patch, Precondition};
use domain::telemetry::{OnConflict, ReadingId};
use domain::text::SerialNumber;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// How many batches are sent while the equipment vanishes, and how many readings each has.
const BATCHES: usize = 50;
const IN_A_BATCH: usize = 20;

pub(crate) async fn a_serial_number_belongs_to_one_piece(plant: Plant) {
    for round in 0..ROUNDS {
        let results = plant
            .at_once(20, |app, number| async move {
                let spelling = if number.is_multiple_of(2) { "sn-é" } else { "SN-É" };
                let serial_number = SerialNumber::parse(&format!("{spelling}-{round}")).ok();
                register(&app, Details { serial_number, ..details("Press") }).await
            })
            .await;
        assert_eq!(codes(&results), [Code::Taken; 19], "round {round}");
    }
}

pub(crate) async fn components_never_form_a_circle(plant: Plant) {
    for round in 0..ROUNDS {
        let ring: Vec<EquipmentId> = join_all((0..5).map(|_| plant.machine("Press"))).await;
        let results = plant
            .at_once(ring.len(), |app, number| {
                let (component, parent) = (ring[number], ring[(number + 1) % ring.len()]);
                async move {
                    let change = EquipmentChange { parent: Patch::Set(parent), ..EquipmentChange::default() };
                    equipment::change(&app, right(), component, change, Precondition::None).await
                }
            })
            .await;
        assert_eq!(codes(&results), [Code::InvalidFields], "round {round}: exactly one would have closed it");
    }
}

pub(crate) async fn hiding_equipment_leaves_whole_batches(plant: Plant) {
    for round in 0..ROUNDS {
        let machine = plant.machine("Press").await;
        let kept = batches_while(&plant, machine, |app| async move {
            equipment::hide(&app, right(), machine, Precondition::None).await
        })
        .await;
        assert!(plant.readings_of(machine).await.is_empty(), "round {round}: it is hidden");
        equipment::restore(&plant.app, right(), machine, Once::each_time()).await.unwrap();
        let expected: BTreeSet<ReadingId> =
            kept.into_iter().flat_map(|number| identities(machine, number)).collect();
        let stored: BTreeSet<ReadingId> =
            plant.readings_of(machine).await.into_iter().map(|reading| reading.id).collect();
        assert_eq!(stored, expected, "round {round}");
    }
}

pub(crate) async fn purging_equipment_leaves_no_orphans(plant: Plant) {
    for round in 0..ROUNDS {
        let machine = plant.machine("Press").await;
        batches_while(&plant, machine, |app| async move {
            equipment::purge(&app, right(), machine, Precondition::None).await
        })
        .await;
        let all: Vec<ReadingId> = (0..BATCHES).flat_map(|number| identities(machine, number)).collect();
        let mut reader = plant.app.store.reader().await.unwrap();
        assert_eq!(reader.readings().find_all(&all).await.unwrap(), [], "round {round}");
        assert_eq!(reader.equipment().find(machine).await.unwrap(), None, "round {round}");
    }
}

/// Sends batches of readings, and does something to their equipment at the same time. Answers which batches were taken;
/// the others must have been refused because the equipment was gone, each as a whole.
async fn batches_while<F>(
    plant: &Plant,
    machine: EquipmentId,
    act: impl Fn(std::sync::Arc<App>) -> F,
) -> Vec<usize>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let results = plant
        .at_once(BATCHES + 1, |app, number| {
            // Somewhere among the batches, not behind them all.
            let acting = (number == BATCHES / 5).then(|| act(app.clone()));
            async move {
                match acting {
                    Some(acting) => acting.await.map(|()| None),
                    None => taken(&app, machine, number).await.map(|taken| taken.then_some(number)),
                }
            }
        })
        .await;
    let refused: Vec<&Error> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    results.into_iter().flatten().flatten().collect()
}

/// Whether this batch was taken. Sent all or none by turns, and with the bad ones left out.
async fn taken(app: &App, machine: EquipmentId, number: usize) -> Result<bool, Error> {
    let readings: Vec<Sent> =
        identities(machine, number).iter().map(|id| sent(machine, seconds_of(*id), 20.0)).collect();
    if number.is_multiple_of(2) {
        return match send(app, readings).await {
            Ok(counts) => {
                assert_eq!(counts.accepted, IN_A_BATCH as u64);
                Ok(true)
            }
            Err(error) if error.code() == Code::InvalidFields => Ok(false),
            Err(error) => Err(error),
        };
    }
    let sifted = ingest::sift(app, &right::<WriteData>(), readings, OnConflict::Refuse).await?;
    assert!(sifted.refused.iter().all(|(_, error)| error.code() == Code::InvalidFields));
    assert!([0, IN_A_BATCH].contains(&sifted.refused.len()), "part of a batch was refused");
    Ok(sifted.refused.is_empty())
}

fn identities(machine: EquipmentId, number: usize) -> Vec<ReadingId> {
    let seconds = (number * IN_A_BATCH) as i64..((number + 1) * IN_A_BATCH) as i64;
    seconds.map(|second| ReadingId { equipment: machine, at: at(second) }).collect()
}

fn seconds_of(id: ReadingId) -> i64 {
    id.at.seconds() - at(0).seconds()
}
