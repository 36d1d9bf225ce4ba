//! How a hash is made and how it is written down: argon2id with its parameters, in the PHC string format.

use super::workspaces::Workspaces;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use domain::error::BoxError;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::thread::available_parallelism;

/// How hard password hashes are to make. The defaults are also the least that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingSettings {
    /// Memory that a hash goes through, in KiB.
    pub memory_kib: u32,
    /// How often it goes through it.
    pub passes: u32,
    /// Into how many lanes the memory is divided.
    pub lanes: u32,
    /// How many hashes may run at once; as many as there are cores by default.
    pub parallel: NonZeroUsize,
}

impl Default for HashingSettings {
    fn default() -> Self {
        Self {
            memory_kib: *MEMORY_KIB.start(),
            passes: *PASSES.start(),
            lanes: *LANES.start(),
            parallel: available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Why these settings do not do.
#[derive(Debug, thiserror::Error)]
pub enum HashingSettingsError {
    /// Too weak to protect passwords, or so heavy that a sign-in would take the machine down.
    #[error("{setting} must be {} to {}, not {given}", .allowed.start(), .allowed.end())]
    OutOfBounds {
        /// Which setting.
        setting: &'static str,
        /// What would do.
        allowed: RangeInclusive<u32>,
        /// What was asked for.
        given: u32,
    },
    /// The hasher failed with them.
    #[error("passwords cannot be hashed with these settings")]
    Unworkable(#[source] BoxError),
}

// The lower ends are OWASP's recommendation. The upper ends bound what one hash may cost: parameters are read back from
// storage too, and a spoilt row must not make the process allocate terabytes.
const MEMORY_KIB: RangeInclusive<u32> = 19_456..=1_048_576;
const PASSES: RangeInclusive<u32> = 2..=64;
const LANES: RangeInclusive<u32> = 1..=64;

/// One way of making hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe(Params);

impl Recipe {
    pub(super) fn new(settings: &HashingSettings) -> Result<Self, HashingSettingsError> {
        within("memory_kib", MEMORY_KIB, settings.memory_kib)?;
        within("passes", PASSES, settings.passes)?;
        within("lanes", LANES, settings.lanes)?;
        Params::new(settings.memory_kib, settings.passes, settings.lanes, Some(Params::DEFAULT_OUTPUT_LEN))
            .map(Self)
            .map_err(|error| HashingSettingsError::Unworkable(error.into()))
    }

    /// One that no setting changes, for what must be made again by any server.
    pub(super) fn always() -> Result<Self, BoxError> {
        let (memory_kib, passes, lanes) = (*MEMORY_KIB.start(), *PASSES.start(), *LANES.start());
        Ok(Self(Params::new(memory_kib, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN))?))
    }

    /// How many KiB blocks of memory it takes.
    pub(super) fn blocks(&self) -> usize {
        self.0.block_count()
    }

    pub(super) fn is_weaker_than(&self, other: &Recipe) -> bool {
        let strengths = |params: &Params| [params.m_cost(), params.t_cost(), params.p_cost()];
        strengths(&self.0).into_iter().zip(strengths(&other.0)).any(|(own, others)| own < others)
    }

    pub(super) fn hash(&self, password: &[u8], salt: Salt, memory: &Workspaces) -> Result<Record, BoxError> {
        let output = self.output(password, &salt, memory)?;
        Ok(Record { recipe: self.clone(), salt, output })
    }

    pub(super) fn output(
        &self,
        password: &[u8],
        salt: &Salt,
        memory: &Workspaces,
    ) -> Result<Output, BoxError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone());
        let mut bytes = vec![0; self.0.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        memory.lend(self.blocks(), |blocks| {
            argon2.hash_password_into_with_memory(password, salt, &mut bytes, blocks)
        })?;
        Ok(Output::new(&bytes)?)
    }
}

fn within(
    setting: &'static str,
    allowed: RangeInclusive<u32>,
    given: u32,
) -> Result<(), HashingSettingsError> {
    if allowed.contains(&given) {
        Ok(())
    } else {
        Err(HashingSettingsError::OutOfBounds { setting, allowed, given })
    }
}

/// A hash with all that it takes to make it again.
pub(super) struct Record {
    pub(super) recipe: Recipe,
    salt: Salt,
    output: Output,
}

impl Record {
    /// Reads a PHC string that [`Record::to_phc`] wrote, by whichever settings of its day.
    pub(super) fn parse(text: &str) -> Result<Self, BoxError> {
        let phc = Phc::new(text)?;
        if phc.algorithm != ARGON2ID_IDENT || phc.version != Some(Version::V0x13.into()) {
            return Err("the stored hash is not of argon2id, version 19".into());
        }
        let params = Params::try_from(&phc)?;
        let bounded = MEMORY_KIB.end() >= &params.m_cost()
            && PASSES.end() >= &params.t_cost()
            && LANES.end() >= &params.p_cost();
        if !bounded {
            return Err("the stored hash is beyond what any settings allow".into());
        }
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else {
            return Err("the stored hash lacks its salt or the hash itself".into());
        };
        Ok(Self { recipe: Recipe(params), salt, output })
    }

    pub(super) fn to_phc(&self) -> Result<String, BoxError> {
        let phc = Phc {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.recipe.0)?,
            salt: Some(self.salt),
            hash: Some(self.output),
        };
        Ok(phc.to_string())
    }

    /// Makes the hash again from this password and compares, in a time that does not depend on where they differ.
    pub(super) fn is_hash_of(&self, password: &[u8], memory: &Workspaces) -> Result<bool, BoxError> {
        let output = self.recipe.output(password, &self.salt, memory)?;
        Ok(output == self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: HashingSettings) -> &'static str {
        match Recipe::new(&settings) {
            Err(HashingSettingsError::OutOfBounds { setting, .. }) => setting,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{settings:?} was accepted"),
        }
    }

    #[test]
    fn settings_below_the_recommendation_or_beyond_reason_are_refused_by_name() {
        let least = HashingSettings::default();
        assert!(Recipe::new(&least).is_ok());
        assert_eq!(refused(HashingSettings { memory_kib: 19_455, ..least }), "memory_kib");
        assert_eq!(refused(HashingSettings { memory_kib: u32::MAX, ..least }), "memory_kib");
        assert_eq!(refused(HashingSettings { passes: 1, ..least }), "passes");
        assert_eq!(refused(HashingSettings { passes: 65, ..least }), "passes");
        assert_eq!(refused(HashingSettings { lanes: 0, ..least }), "lanes");
        assert_eq!(refused(HashingSettings { lanes: 65, ..least }), "lanes");
    }

    #[test]
    fn a_refusal_says_what_would_do() {
        let settings = HashingSettings { passes: 1, ..HashingSettings::default() };
        let refusal = Recipe::new(&settings).err().unwrap().to_string();
        assert_eq!(refusal, "passes must be 2 to 64, not 1");
    }

    #[test]
    fn a_hash_written_by_the_reference_implementation_is_read() {
        // printf password | argon2 somesalt -id -v 13 -k 65536 -t 2 -p 1 -e
        let record = Record::parse(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        )
        .unwrap();
        let memory = Workspaces::of(1);
        assert!(record.is_hash_of(b"password", &memory).unwrap());
        assert!(!record.is_hash_of(b"Password", &memory).unwrap());
        assert!(record.to_phc().unwrap().ends_with("GRPPc"));
    }
}
