//! What a made-up plant measures: sensor-like random walks with two decimals, the same from the same seed.
//!
//! The walks are those of `techtrack demo`: a level between rest and full work by the hour of the day, and noise that
//! wanders off and comes back. Every machine has the same ten metrics, so that a reading is ten values wide.

use std::f64::consts::TAU;

/// How many values a reading has.
pub(crate) const METRICS: usize = 10;

/// One metric of a machine.
#[derive(Debug)]
pub(crate) struct Signal {
    /// Which one.
    pub(crate) metric: &'static str,
    idle: f64,
    full: f64,
    noise: f64,
}

const fn signal(metric: &'static str, idle: f64, full: f64, noise: f64) -> Signal {
    Signal { metric, idle, full, noise }
}

/// In the order of their names, which is the order in which readings are stored.
pub(crate) const SIGNALS: [Signal; METRICS] = [
    signal("coolant_flow", 40.0, 44.0, 0.8),
    signal("current", 40.0, 185.0, 4.0),
    signal("cycle_time", 3.6, 3.2, 0.06),
    signal("force", 300.0, 1600.0, 25.0),
    signal("frequency", 8.5, 8.5, 0.05),
    signal("power", 1.2, 15.0, 0.5),
    signal("pressure", 165.0, 210.0, 3.0),
    signal("speed", 1200.0, 8400.0, 90.0),
    signal("temperature", 27.0, 52.0, 1.0),
    signal("vibration", 0.5, 1.9, 0.14),
];

impl Signal {
    /// A limit that no well machine reaches.
    pub(crate) fn never(&self) -> f64 {
        (self.idle.max(self.full) + 10.0 * self.noise) * 2.0
    }
}

/// Random enough, and the same every time: SplitMix64.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    /// The sequence of this seed.
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn either_way(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64 * 2.0 - 1.0
    }
}

/// What one machine measured at one instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The machine's number in the register.
    pub(crate) equipment: i64,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// In the order of [`SIGNALS`].
    pub(crate) numbers: [f64; METRICS],
}

#[derive(Clone, Debug)]
struct Machine {
    equipment: i64,
    random: Random,
    wandered: [f64; METRICS],
}

impl Machine {
    fn measure(&mut self, at: i64) -> Row {
        let load = load(at);
        let mut numbers = [0.0; METRICS];
        for ((number, wandered), signal) in numbers.iter_mut().zip(&mut self.wandered).zip(&SIGNALS) {
            let push = self.random.either_way();
            *wandered =
                (*wandered * 0.9 + push * signal.noise).clamp(-3.0 * signal.noise, 3.0 * signal.noise);
            let level = signal.idle + (signal.full - signal.idle) * load;
            *number = ((level + *wandered).max(0.0) * 100.0).round() / 100.0;
        }
        Row { equipment: self.equipment, at, numbers }
    }
}

/// Machines that report one after the other, all of them once every `step`.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    machines: Vec<Machine>,
    at: i64,
    step: i64,
    turn: usize,
}

impl Fleet {
    /// These machines, from an instant on; both in microseconds.
    pub(crate) fn new(equipment: &[i64], from: i64, step: i64) -> Self {
        let machine = |equipment: &i64| Machine {
            equipment: *equipment,
            random: Random::new(equipment.unsigned_abs()),
            wandered: [0.0; METRICS],
        };
        Self { machines: equipment.iter().map(machine).collect(), at: from, step, turn: 0 }
    }
}

impl Iterator for Fleet {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.turn == self.machines.len() {
            self.turn = 0;
            self.at += self.step;
        }
        let machine = self.machines.get_mut(self.turn)?;
        self.turn += 1;
        Some(machine.measure(self.at))
    }
}

const HOUR: f64 = 3600.0 * 1e6;

/// How hard the plant works, by the hour of the day.
fn load(at: i64) -> f64 {
    let hour = (at as f64 / HOUR).rem_euclid(24.0);
    0.7 + 0.3 * ((hour - 9.0) / 24.0 * TAU).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_take_turns_and_then_time_goes_on() {
        let rows: Vec<Row> = Fleet::new(&[4, 9], 1000, 50).take(5).collect();
        let seen: Vec<_> = rows.iter().map(|row| (row.equipment, row.at)).collect();
        assert_eq!(seen, [(4, 1000), (9, 1000), (4, 1050), (9, 1050), (4, 1100)]);
    }

    #[test]
    fn values_have_two_decimals_and_stay_far_from_the_limit_that_none_reaches() {
        for row in Fleet::new(&[1, 2, 3], 0, 60_000_000).take(20_000) {
            for (number, signal) in row.numbers.iter().zip(&SIGNALS) {
                assert_eq!(*number, (number * 100.0).round() / 100.0);
                assert!(*number < signal.never(), "{} {number}", signal.metric);
            }
        }
    }

    #[test]
    fn the_same_machine_walks_the_same_way_again_and_another_one_does_not() {
        let walk =
            |equipment| Fleet::new(&[equipment], 0, 1).take(50).map(|row| row.numbers).collect::<Vec<_>>();
        assert_eq!(walk(7), walk(7));
        assert_ne!(walk(7), walk(8));
    }

    #[test]
    fn metrics_are_in_the_order_of_their_names() {
        assert!(SIGNALS.is_sorted_by_key(|signal| signal.metric));
    }
}
