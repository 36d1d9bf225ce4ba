//! Password hashing by argon2id: slow on purpose, a few at a time, never on a thread that serves requests.
//!
//! `recipe` knows how a hash is made and written down, `turns` who may hash now, `workspaces` keeps the memory that
//! hashing needs, `dictionary` knows what guessers try first. What makes a password acceptable otherwise is
//! `domain::users::Password`.

mod dictionary;
mod recipe;
mod turns;
mod workspaces;

pub use dictionary::finds as is_common_password;
pub use recipe::{HashingSettings, HashingSettingsError};

use crate::entropy::random_bytes;
use argon2::password_hash::phc::Salt;
use async_trait::async_trait;
use domain::api_keys::Digest;
use domain::error::BoxError;
use domain::ports::{HashingError, Passwords, Verdict};
use domain::users::{Password, PasswordAttempt, PasswordHash};
use recipe::{Recipe, Record};
use std::sync::Arc;
use turns::Turns;
use workspaces::Workspaces;

/// Passwords hashed by argon2id, kept as PHC strings that name their own parameters.
///
/// Works under any tokio runtime. However many callers there are, no more than [`HashingSettings::parallel`] hashes run;
/// those who would wait too long, or in too long a queue, are told that it is busy.
pub struct Argon2Passwords {
    hasher: Arc<Hasher>,
    turns: Turns,
}

struct Hasher {
    today: Recipe,
    /// How digests are stretched, which no setting may change.
    always: Recipe,
    workspaces: Workspaces,
    /// The hash of a password that nobody knows, for those who have no hash of their own.
    dummy: Record,
}

impl Argon2Passwords {
    /// A hasher with these settings. Hashes once, to have the dummy that unknown accounts are compared with.
    pub fn new(settings: HashingSettings) -> Result<Self, HashingSettingsError> {
        let today = Recipe::new(&settings)?;
        let hasher = Hasher::new(today).map_err(HashingSettingsError::Unworkable)?;
        Ok(Self { hasher: Arc::new(hasher), turns: Turns::new(settings.parallel) })
    }

    /// Does `task` on a thread for blocking work, as soon as it is this caller's turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Hasher) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let turn = self.turns.wait().await?;
        let hasher = Arc::clone(&self.hasher);
        // The turn goes along and ends with the work, not with the caller's interest in it: a client that hangs up
        // leaves its hash running, and must not make room for another one before that is done.
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            task(&hasher)
        });
        match work.await {
            Ok(outcome) => outcome.map_err(HashingError::Fault),
            Err(lost) => Err(HashingError::Fault(lost.into())),
        }
    }
}

impl Hasher {
    fn new(today: Recipe) -> Result<Self, BoxError> {
        let workspaces = Workspaces::of(today.blocks());
        let dummy = today.hash(&random_bytes::<32>(), new_salt()?, &workspaces)?;
        Ok(Self { today, always: Recipe::always()?, workspaces, dummy })
    }

    fn hash(&self, password: &Password) -> Result<PasswordHash, BoxError> {
        let record = self.today.hash(password.reveal().as_bytes(), new_salt()?, &self.workspaces)?;
        Ok(PasswordHash::restore(record.to_phc()?))
    }

    fn stretch(&self, digest: &Digest) -> Result<Digest, BoxError> {
        let output = self.always.output(digest, &Salt::new(STRETCHING)?, &self.workspaces)?;
        Ok(output.as_bytes().try_into()?)
    }

    /// Neither a missing hash nor an oversized attempt shortens the work: how long the answer takes tells nothing.
    fn verify(&self, attempt: &PasswordAttempt, stored: Option<&PasswordHash>) -> Result<Verdict, BoxError> {
        let Some(stored) = stored else {
            self.dummy.is_hash_of(hashable(attempt), &self.workspaces)?;
            return Ok(Verdict { matches: false, outdated: false });
        };
        let record = Record::parse(stored.as_str())?;
        let same = record.is_hash_of(hashable(attempt), &self.workspaces)?;
        Ok(Verdict {
            matches: same && !attempt.is_oversized(),
            outdated: record.recipe.is_weaker_than(&self.today),
        })
    }
}

/// Separates stretched digests from all hashes of passwords, whose salts are random. No two digests are of the same request,
/// so they need no salts of their own.
const STRETCHING: &[u8] = b"techtrack once 1";

/// What of an attempt goes through the hasher: all of it, or nothing when no password can be this long.
fn hashable(attempt: &PasswordAttempt) -> &[u8] {
    if attempt.is_oversized() { b"" } else { attempt.reveal().as_bytes() }
}

fn new_salt() -> Result<Salt, argon2::password_hash::phc::Error> {
    Salt::new(&random_bytes::<16>())
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        let password = password.clone();
        self.in_turn(move |hasher| hasher.hash(&password)).await
    }

    async fn verify(
        &self,
        attempt: &PasswordAttempt,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashingError> {
        let attempt = attempt.clone();
        self.in_turn(move |hasher| hasher.verify(&attempt, stored.as_ref())).await
    }

    async fn stretch(&self, digest: &Digest) -> Result<Digest, HashingError> {
        let digest = *digest;
        self.in_turn(move |hasher| hasher.stretch(&digest)).await
    }

    fn is_common(&self, password: &Password, own: &[String]) -> bool {
        dictionary::finds(password.reveal(), own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::Block;
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    fn passwords(settings: HashingSettings) -> Argon2Passwords {
        Argon2Passwords::new(settings).unwrap()
    }

    fn one_at_a_time() -> HashingSettings {
        HashingSettings { parallel: NonZeroUsize::MIN, ..HashingSettings::default() }
    }

    fn password(text: &str) -> Password {
        Password::parse(text, 0, &[]).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let passwords = passwords(HashingSettings::default());
        let stored = passwords.hash(&password("kX9#mQ2$vL")).await.unwrap();
        assert!(stored.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.as_str());
        let right =
            passwords.verify(&PasswordAttempt::new("kX9#mQ2$vL"), Some(stored.clone())).await.unwrap();
        assert_eq!(right, Verdict { matches: true, outdated: false });
        for wrong in ["kX9#mQ2$vl", "kX9#mQ2$vL ", ""] {
            let verdict = passwords.verify(&PasswordAttempt::new(wrong), Some(stored.clone())).await.unwrap();
            assert_eq!(verdict, Verdict { matches: false, outdated: false }, "{wrong:?}");
        }
        let again = passwords.hash(&password("kX9#mQ2$vL")).await.unwrap();
        assert_ne!(stored, again, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn without_a_stored_hash_nothing_matches() {
        let passwords = passwords(HashingSettings::default());
        for text in ["anything", ""] {
            let verdict = passwords.verify(&PasswordAttempt::new(text), None).await.unwrap();
            assert_eq!(verdict, Verdict { matches: false, outdated: false });
        }
    }

    #[tokio::test]
    async fn an_oversized_attempt_never_matches() {
        let passwords = passwords(HashingSettings::default());
        let oversized = PasswordAttempt::new(&"x".repeat(Password::MAX_LENGTH + 1));
        // The hasher sees nothing of it, so the hash of nothing is the one that must not match.
        let of_nothing = passwords.hash(&password("")).await.unwrap();
        assert!(passwords.verify(&PasswordAttempt::new(""), Some(of_nothing.clone())).await.unwrap().matches);
        assert!(!passwords.verify(&oversized, Some(of_nothing)).await.unwrap().matches);
    }

    /// How many blocks of memory are other than empty; empties them.
    fn blocks_used(passwords: &Argon2Passwords) -> usize {
        passwords.hasher.workspaces.lend(1, |blocks| {
            let used = blocks.iter().filter(|block| block.as_ref().iter().any(|&word| word != 0)).count();
            blocks.fill(Block::new());
            used
        })
    }

    #[tokio::test]
    async fn right_wrong_missing_and_oversized_go_through_the_same_memory() {
        let passwords = passwords(one_at_a_time());
        let stored = passwords.hash(&password("kX9#mQ2$vL")).await.unwrap();
        assert_eq!(passwords.hasher.dummy.recipe, passwords.hasher.today);
        let oversized = "x".repeat(1_000_000);
        let cases = [
            ("kX9#mQ2$vL", Some(stored.clone())),
            ("wrong", Some(stored.clone())),
            ("wrong", None),
            (oversized.as_str(), Some(stored)),
            (oversized.as_str(), None),
        ];
        blocks_used(&passwords);
        for (text, stored) in cases {
            passwords.verify(&PasswordAttempt::new(text), stored).await.unwrap();
            assert_eq!(blocks_used(&passwords), 19_456, "{text:.20}");
        }
    }

    #[tokio::test]
    async fn a_stretched_digest_costs_a_hash_and_is_the_same_whatever_the_settings() {
        let today = passwords(one_at_a_time());
        blocks_used(&today);
        let stretched = today.stretch(&[7; 32]).await.unwrap();
        assert_eq!(blocks_used(&today), 19_456);
        let raised = passwords(HashingSettings { passes: 3, lanes: 2, ..one_at_a_time() });
        assert_eq!(raised.stretch(&[7; 32]).await.unwrap(), stretched);
        assert_ne!(today.stretch(&[8; 32]).await.unwrap(), stretched);
    }

    #[tokio::test]
    async fn no_hash_runs_on_the_thread_that_asked_for_it() {
        let passwords = passwords(HashingSettings::default());
        let thread = passwords.in_turn(|_| Ok(thread::current().id())).await.unwrap();
        assert_ne!(thread, thread::current().id());
    }

    #[tokio::test]
    async fn a_hash_of_weaker_days_matches_and_is_found_outdated() {
        let yesterday = passwords(HashingSettings::default());
        let stored = yesterday.hash(&password("kX9#mQ2$vL")).await.unwrap();
        let attempt = PasswordAttempt::new("kX9#mQ2$vL");
        let raised = [
            HashingSettings { passes: 3, ..HashingSettings::default() },
            HashingSettings { memory_kib: 20_480, ..HashingSettings::default() },
            HashingSettings { lanes: 2, ..HashingSettings::default() },
        ];
        for settings in raised {
            let today = passwords(settings);
            let verdict = today.verify(&attempt, Some(stored.clone())).await.unwrap();
            assert_eq!(verdict, Verdict { matches: true, outdated: true }, "{settings:?}");
            let fresh = today.hash(&password("kX9#mQ2$vL")).await.unwrap();
            let verdict = today.verify(&attempt, Some(fresh.clone())).await.unwrap();
            assert_eq!(verdict, Verdict { matches: true, outdated: false }, "{settings:?}");
            let lowered = yesterday.verify(&attempt, Some(fresh)).await.unwrap();
            assert_eq!(lowered, Verdict { matches: true, outdated: false }, "{settings:?}");
        }
    }

    #[tokio::test]
    async fn a_stored_hash_that_does_not_make_sense_is_a_fault() {
        let passwords = passwords(HashingSettings::default());
        let stored = passwords.hash(&password("kX9#mQ2$vL")).await.unwrap();
        let spoilt = [
            String::new(),
            "kX9#mQ2$vL".into(),
            "$2b$12$abcdefghijklmnopqrstuuu".into(),
            stored.as_str().replace("argon2id", "argon2i"),
            stored.as_str().replace("v=19", "v=16"),
            stored.as_str().replace("m=19456", "m=4294967295"),
            stored.as_str().replace("t=2", "t=4294967295"),
            stored.as_str().rsplit_once('$').unwrap().0.into(),
        ];
        for text in spoilt {
            let stored = Some(PasswordHash::restore(text.clone()));
            let outcome = passwords.verify(&PasswordAttempt::new("kX9#mQ2$vL"), stored).await;
            assert!(matches!(outcome, Err(HashingError::Fault(_))), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_hundred_hashes_at_once_leave_other_tasks_quick_and_the_surplus_is_told_busy() {
        let passwords = Arc::new(passwords(one_at_a_time()));
        let busy = Arc::new(AtomicUsize::new(0));
        let hashes: Vec<_> = (0..100)
            .map(|_| {
                let (passwords, busy) = (Arc::clone(&passwords), Arc::clone(&busy));
                tokio::spawn(async move {
                    let outcome = passwords.hash(&password("kX9#mQ2$vL")).await;
                    if matches!(outcome, Err(HashingError::Busy)) {
                        busy.fetch_add(1, Ordering::Relaxed);
                    }
                    outcome.is_ok()
                })
            })
            .collect();
        // One runs and 64 wait; whoever comes after them is not kept at all.
        let start = Instant::now();
        while busy.load(Ordering::Relaxed) < 35 {
            tokio::task::yield_now().await;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());

        let mut turns = Vec::new();
        while hashes.iter().any(|hash| !hash.is_finished()) {
            let start = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns.push(start.elapsed());
        }
        turns.sort_unstable();
        let nine_of_ten = turns[turns.len() * 9 / 10];
        assert!(nine_of_ten < Duration::from_millis(250), "{nine_of_ten:?}");

        let mut hashed = 0;
        for hash in hashes {
            hashed += usize::from(hash.await.unwrap());
        }
        assert!(hashed > 0);
        assert_eq!(hashed + busy.load(Ordering::Relaxed), 100);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_keeps_its_turn_until_its_hash_is_done() {
        let passwords = passwords(one_at_a_time());
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        let gone = passwords.in_turn(move |_| {
            started.send(()).unwrap();
            may_finish.recv().unwrap();
            Ok(())
        });
        tokio::select! {
            _ = gone => panic!("the task was told to go on before its caller left"),
            running = has_started => running.unwrap(),
        }

        let next = tokio::time::timeout(Duration::from_millis(100), passwords.in_turn(|_| Ok(())));
        assert!(next.await.is_err(), "the next one ran beside the abandoned one");
        finish.send(()).unwrap();
        assert!(passwords.in_turn(|_| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_task_that_panics_is_a_fault_and_gives_its_turn_back() {
        let passwords = passwords(one_at_a_time());
        let outcome = passwords.in_turn::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(outcome, Err(HashingError::Fault(_))));
        assert!(passwords.in_turn(|_| Ok(())).await.is_ok());
    }
}
