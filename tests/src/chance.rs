//! Chance that can be had again: numbers that look random, and follow from a seed that is told.

/// The numbers that follow from a seed.
pub struct Chance {
    state: u64,
}

impl Chance {
    /// A new seed, or the one that `TEST_SEED` names. It is told, so that a story can be had again as it was.
    #[allow(clippy::print_stderr, reason = "who has a story again needs the seed")]
    pub fn told(story: &str) -> Self {
        let seed = wanted().unwrap_or_else(clock);
        eprintln!("{story}: TEST_SEED={seed}");
        Self::of(seed)
    }

    /// The numbers that follow from this seed.
    pub fn of(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, by SplitMix64.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, and with, this one.
    pub fn up_to(&mut self, most: usize) -> usize {
        (self.number() % (most as u64 + 1)) as usize
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says by the environment what shall be had again"
)]
fn wanted() -> Option<u64> {
    std::env::var("TEST_SEED").ok()?.parse().ok()
}

#[allow(clippy::disallowed_methods, reason = "any number that differs between runs does")]
fn clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64) % 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_gives_others() {
        let of = |seed| {
            let mut chance = Chance::of(seed);
            [chance.number(), chance.number()]
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn every_number_up_to_the_most_comes_up() {
        let mut chance = Chance::of(7);
        let seen: std::collections::BTreeSet<usize> = (0..100).map(|_| chance.up_to(3)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
