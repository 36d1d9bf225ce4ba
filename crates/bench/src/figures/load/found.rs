//! Looks for what was acknowledged: every reading, value by value, through the API.

use crate::failure::Outcome;
use crate::front::Front;
use crate::http::Connection;
use crate::payload::instant;
use crate::sensors::{Row, SIGNALS};
use crate::server::Server;
use crate::terminal;
use serde_json::Value;
use std::collections::HashMap;

/// How many of these readings are not there, or are there with other values.
pub(super) async fn lost(front: &Front, server: &Server, sent: &[Row]) -> Outcome<usize> {
    let mut by_machine: HashMap<i64, HashMap<String, &Row>> = HashMap::new();
    for row in sent {
        by_machine.entry(row.equipment).or_default().insert(instant(row.at), row);
    }
    let progress = terminal::progress(by_machine.len() as u64, "looking for what was acknowledged");
    let mut connection = Connection::open(front.address()).await?;
    let mut lost = 0;
    for (machine, mut missing) in by_machine {
        let Some(from) = missing.keys().min().cloned() else { continue };
        let path = format!("/api/data/export?format=ndjson&equipment={machine}&timestamp__gte={from}");
        let stored = connection.fetch(&server.get(&path)).await?;
        for line in stored.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            strike_out(&mut missing, &serde_json::from_slice(line)?);
        }
        lost += missing.len();
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(lost)
}

/// A reading is found when its instant and all of its values are those that were sent.
fn strike_out(missing: &mut HashMap<String, &Row>, stored: &Value) {
    let Some(at) = stored.get("timestamp").and_then(Value::as_str) else { return };
    let Some(row) = missing.get(at) else { return };
    let value = |metric: &str| stored.get("values")?.get(metric)?.as_f64();
    if SIGNALS.iter().zip(row.numbers).all(|(signal, number)| value(signal.metric) == Some(number)) {
        missing.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_found_only_with_the_values_that_were_sent() {
        let row = Row { equipment: 7, at: 1_777_879_800_250_000, numbers: [1.5; 10] };
        let mut stored: Value = serde_json::from_slice(&crate::payload::single(&row)).unwrap();
        let mut missing = HashMap::from([(instant(row.at), &row)]);
        stored["values"]["power"] = 1.25.into();
        strike_out(&mut missing, &stored);
        assert_eq!(missing.len(), 1);
        stored["values"]["power"] = 1.5.into();
        strike_out(&mut missing, &stored);
        assert!(missing.is_empty());
    }
}
