//! Signing in, refreshing and signing out, as stories over the in-memory store.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

use domain::access::rights::{ManageUsers, OwnAccount};
use domain::access::{Origin, Permission};
use domain::app::users::UserChange;
use domain::app::{App, Policy, sessions, users};
use domain::error::{Code, Error};
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::ports::{Clock, HashingError, MockPasswords, Tokens, Verdict};
use domain::sessions::Lifetimes;
use domain::testing::{FrozenClock, IdleCourier, MemoryStore, PlainTokens, World};
use domain::users::PasswordAttempt;
use pollster::block_on;
use std::sync::Arc;
use std::time::Duration;

async fn world() -> World {
    World::over(Arc::new(MemoryStore::default())).await.unwrap()
}

async fn attempt(world: &World, name: &str, password: &str) -> Result<sessions::TokenPair, Error> {
    let from = Origin { address: Some([10, 0, 0, 7].into()), ..Origin::default() };
    sessions::sign_in(&world.app, from, name, PasswordAttempt::new(password), Once::each_time()).await
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn an_access_token_tells_who_is_calling_and_what_they_may_do_right_now() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap();
        let pair = world.sign_in("ANNA").await.unwrap();
        let actor =
            sessions::authenticate(&world.app, pair.access.reveal(), Origin::default()).await.unwrap();
        assert_eq!(actor.user(), Some(anna.user.id));
        assert!(actor.permissions().contains(Permission::DataRead));
        assert!(!actor.permissions().contains(Permission::UsersRead));
    });
}

#[test]
fn an_access_token_lapses_after_ten_minutes_and_the_leeway() {
    block_on(async {
        let world = world().await;
        world.person("anna").await.unwrap();
        let pair = world.sign_in("anna").await.unwrap();
        world.clock.advance(Duration::from_secs(604));
        assert!(sessions::verify(&world.app, pair.access.reveal()).await.is_ok());
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(code(sessions::verify(&world.app, pair.access.reveal()).await), Code::InvalidCredentials);
    });
}

#[test]
fn unknown_wrong_and_disabled_are_refused_alike() {
    block_on(async {
        let world = world().await;
        let ben = world.person("ben").await.unwrap();
        let disabled = UserChange { is_active: Some(false), ..UserChange::default() };
        let by = World::system().unwrap();
        users::change(&world.app, by, ben.user.id, disabled, Precondition::None).await.unwrap();
        let answers = [
            attempt(&world, "nobody", World::PASSWORD).await,
            attempt(&world, "admin", "not the password").await,
            attempt(&world, "ben", World::PASSWORD).await,
            attempt(&world, "no such login!", "x").await,
        ];
        for answer in answers {
            assert!(matches!(answer, Err(Error::InvalidCredentials)), "{answer:?}");
        }
    });
}

#[test]
fn ten_failures_are_forgiven_and_the_next_has_to_wait_known_account_or_not() {
    block_on(async {
        for name in ["admin", "nobody"] {
            let world = world().await;
            for _ in 0..10 {
                assert_eq!(code(attempt(&world, name, "wrong").await), Code::InvalidCredentials);
            }
            let refused = attempt(&world, name, World::PASSWORD).await.unwrap_err();
            assert_eq!(
                (refused.code(), refused.retry_after()),
                (Code::TooManyAttempts, Some(Duration::from_secs(1)))
            );
            world.clock.advance(Duration::from_secs(1));
            assert_ne!(code_or_ok(attempt(&world, name, World::PASSWORD).await), Some(Code::TooManyAttempts));
        }
    });
}

#[test]
fn who_has_to_wait_is_told_so_before_anything_that_takes_long_and_nobody_is_counted_for_asking() {
    block_on(async {
        let world = world().await;
        let from = Origin { address: Some([10, 0, 0, 7].into()), ..Origin::default() };
        for _ in 0..20 {
            sessions::refuse_who_must_wait(&world.app, &from, "admin").await.unwrap();
        }
        for _ in 0..10 {
            assert_eq!(code(attempt(&world, "admin", "wrong").await), Code::InvalidCredentials);
        }
        for _ in 0..2 {
            let refused = sessions::refuse_who_must_wait(&world.app, &from, "ADMIN").await.unwrap_err();
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
        }
    });
}

fn code_or_ok<T>(result: Result<T, Error>) -> Option<Code> {
    result.err().map(|error| error.code())
}

#[test]
fn a_success_forgives_the_account_but_not_the_address() {
    block_on(async {
        let world = world().await;
        world.person("anna").await.unwrap();
        for _ in 0..9 {
            let _ = attempt(&world, "anna", "wrong").await;
        }
        attempt(&world, "anna", World::PASSWORD).await.unwrap();
        let _ = attempt(&world, "anna", "wrong").await;
        assert_eq!(code(attempt(&world, "anna", World::PASSWORD).await), Code::TooManyAttempts);
        world.sign_in("anna").await.unwrap();
    });
}

#[test]
fn an_attempt_that_the_hasher_turned_away_is_not_held_against_anybody() {
    block_on(async {
        let store = Arc::new(MemoryStore::default());
        World::over(store.clone()).await.unwrap();
        let mut busy = MockPasswords::new();
        busy.expect_verify().times(11).returning(|_, _| Err(HashingError::Busy));
        busy.expect_verify().returning(|_, _| Ok(Verdict { matches: false, outdated: false }));
        let clock = Arc::new(FrozenClock::default());
        let mut services = World::services(store, clock.clone());
        services.passwords = Arc::new(busy);
        let world =
            World { app: App::new(services, Policy::default()), clock, courier: IdleCourier::default() };
        for _ in 0..11 {
            assert_eq!(code(attempt(&world, "admin", "x").await), Code::Busy);
        }
        assert_eq!(code(attempt(&world, "admin", "x").await), Code::InvalidCredentials);
    });
}

#[test]
fn a_spent_refresh_token_gives_the_same_successor_for_ten_seconds() {
    block_on(async {
        let world = world().await;
        let first = world.sign_in("admin").await.unwrap();
        let refresh = |token: String| {
            sessions::refresh(&world.app, Origin::default(), Box::leak(token.into()), Once::each_time())
        };
        let next = refresh(first.refresh.reveal().to_owned()).await.unwrap();
        world.clock.advance(Duration::from_secs(10));
        let again = refresh(first.refresh.reveal().to_owned()).await.unwrap();
        assert_eq!(next.refresh, again.refresh);
        assert_ne!(first.refresh, next.refresh);
    });
}

#[test]
fn a_refresh_token_used_after_its_successor_ends_the_whole_session() {
    block_on(async {
        let world = world().await;
        let first = world.sign_in("admin").await.unwrap();
        let second =
            sessions::refresh(&world.app, Origin::default(), first.refresh.reveal(), Once::each_time())
                .await
                .unwrap();
        let third =
            sessions::refresh(&world.app, Origin::default(), second.refresh.reveal(), Once::each_time())
                .await
                .unwrap();
        let reuse =
            sessions::refresh(&world.app, Origin::default(), first.refresh.reveal(), Once::each_time()).await;
        assert_eq!(code(reuse), Code::InvalidCredentials);
        for token in [&third.access, &third.refresh] {
            assert!(sessions::verify(&world.app, token.reveal()).await.is_err());
        }
    });
}

#[test]
fn without_rotation_a_refresh_token_stays_good_for_as_long_as_it_is_used() {
    block_on(async {
        let world = world_without_rotation().await;
        let first = world.sign_in("admin").await.unwrap();
        let refresh =
            || sessions::refresh(&world.app, Origin::default(), first.refresh.reveal(), Once::each_time());
        // Of the ninety days that a session may last, in steps shorter than the fourteen after which it lapses unused.
        for _ in 0..8 {
            world.clock.advance(11 * DAY);
            assert_eq!(refresh().await.unwrap().refresh, first.refresh);
        }
        world.clock.advance(3 * DAY);
        assert_eq!(code(refresh().await), Code::InvalidCredentials);
    });
}

#[test]
fn without_rotation_a_session_lapses_when_nobody_uses_it() {
    block_on(async {
        let world = world_without_rotation().await;
        let pair = world.sign_in("admin").await.unwrap();
        world.clock.advance(14 * DAY);
        let late = sessions::refresh(&world.app, Origin::default(), pair.refresh.reveal(), Once::each_time());
        assert_eq!(code(late.await), Code::InvalidCredentials);
    });
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A world in which a refresh does not spend the refresh token.
async fn world_without_rotation() -> World {
    let store = Arc::new(MemoryStore::default());
    World::over(store.clone()).await.unwrap();
    let clock = Arc::new(FrozenClock::default());
    let lifetimes = Lifetimes { rotate: false, ..Lifetimes::default() };
    let app = App::new(World::services(store, clock.clone()), Policy { lifetimes, ..Policy::default() });
    domain::app::signing_keys::load(&app).await.unwrap();
    World { app, clock, courier: IdleCourier::default() }
}

#[test]
fn a_refresh_or_a_failed_sign_in_of_others_makes_nobody_forgotten() {
    block_on(async {
        let world = world().await;
        world.person("anna").await.unwrap();
        let (here, there) = (world.sign_in("admin").await.unwrap(), world.sign_in("anna").await.unwrap());
        let call = || sessions::authenticate(&world.app, here.access.reveal(), Origin::default());
        call().await.unwrap();
        let (hits, misses) = world.app.counts.callers.told();
        sessions::refresh(&world.app, Origin::default(), there.refresh.reveal(), Once::each_time())
            .await
            .unwrap();
        assert_eq!(code(attempt(&world, "anna", "wrong").await), Code::InvalidCredentials);
        call().await.unwrap();
        assert_eq!(world.app.counts.callers.told(), (hits + 1, misses));
    });
}

#[test]
fn a_refresh_token_that_is_used_again_makes_everybody_forgotten() {
    block_on(async {
        let world = world().await;
        let first = world.sign_in("admin").await.unwrap();
        let refresh =
            || sessions::refresh(&world.app, Origin::default(), first.refresh.reveal(), Once::each_time());
        refresh().await.unwrap();
        let call = || sessions::authenticate(&world.app, first.access.reveal(), Origin::default());
        call().await.unwrap();
        world.clock.advance(Duration::from_millis(10_001));
        call().await.unwrap();
        assert_eq!(code(refresh().await), Code::InvalidCredentials);
        assert_eq!(code(call().await), Code::Unauthenticated);
    });
}

#[test]
fn signing_out_ends_access_at_once() {
    block_on(async {
        let world = world().await;
        let (here, there) = (world.sign_in("admin").await.unwrap(), world.sign_in("admin").await.unwrap());
        let actor =
            sessions::authenticate(&world.app, here.access.reveal(), Origin::default()).await.unwrap();
        sessions::sign_out(&world.app, actor.grant().unwrap(), false, Once::each_time()).await.unwrap();
        assert!(sessions::verify(&world.app, here.access.reveal()).await.is_err());
        assert!(sessions::verify(&world.app, there.access.reveal()).await.is_ok());
        let actor =
            sessions::authenticate(&world.app, there.access.reveal(), Origin::default()).await.unwrap();
        sessions::sign_out(&world.app, actor.grant::<OwnAccount>().unwrap(), true, Once::each_time())
            .await
            .unwrap();
        assert!(sessions::verify(&world.app, there.access.reveal()).await.is_err());
    });
}

#[test]
fn a_one_time_password_opens_one_session_and_then_sets_the_next_password() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap().user.id;
        let by = World::system::<ManageUsers>().unwrap();
        let reset = users::reset_password(&world.app, by, anna, Once::each_time()).await.unwrap();
        let once = reset.password.reveal();
        assert_eq!(code(attempt(&world, "anna", World::PASSWORD).await), Code::InvalidCredentials);
        let pair = attempt(&world, "anna", once).await.unwrap();
        assert!(pair.must_change_password);
        assert_eq!(code(attempt(&world, "anna", once).await), Code::InvalidCredentials);

        let actor =
            sessions::authenticate(&world.app, pair.access.reveal(), Origin::default()).await.unwrap();
        let change = UserChange {
            password: Some(users::acceptable_password(&world.app, "a fresh start", &[]).unwrap()),
            current_password: Some(PasswordAttempt::new(once)),
            ..UserChange::default()
        };
        users::change(&world.app, actor.grant().unwrap(), anna, change, Precondition::None).await.unwrap();
        assert!(!attempt(&world, "anna", "a fresh start").await.unwrap().must_change_password);
    });
}

#[test]
fn a_new_signing_key_takes_over_and_the_one_before_still_verifies() {
    block_on(async {
        let world = world().await;
        let by = domain::access::Actor::system("test");
        let old = world.sign_in("admin").await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        domain::app::signing_keys::rotate(&world.app, &by).await.unwrap();
        let new = world.sign_in("admin").await.unwrap();
        for pair in [&old, &new] {
            assert!(sessions::verify(&world.app, pair.access.reveal()).await.is_ok());
        }
        world.clock.advance(Duration::from_secs(1));
        domain::app::signing_keys::rotate(&world.app, &by).await.unwrap();
        assert!(sessions::verify(&world.app, old.access.reveal()).await.is_err());
        assert!(sessions::verify(&world.app, new.access.reveal()).await.is_ok());
    });
}

#[test]
fn a_token_of_an_unknown_key_is_refused_at_once() {
    block_on(async {
        let world = world().await;
        let before = world.clock.now();
        for _ in 0..3 {
            assert_eq!(code(sessions::verify(&world.app, FORGED).await), Code::InvalidCredentials);
        }
        assert_eq!(world.clock.now(), before, "somebody was kept waiting");
    });
}

/// A token of a key that nobody has.
const FORGED: &str = "no-such-key.access.0.1.1.1777879800.1777880400.x";

#[test]
fn a_token_of_a_key_that_another_server_just_made_is_good_however_many_forged_ones_came_before() {
    block_on(async {
        let store = Arc::new(MemoryStore::default());
        let here = World::over(store.clone()).await.unwrap();
        let mut services = World::services(store, here.clock.clone());
        let tokens = PlainTokens::default();
        tokens.generate(here.clock.now()).unwrap();
        services.tokens = Arc::new(tokens);
        let there = App::new(services, Policy::default());
        for _ in 0..3 {
            here.clock.advance(Duration::from_secs(1));
            assert!(sessions::verify(&here.app, FORGED).await.is_err());
            domain::app::signing_keys::rotate(&there, &domain::access::Actor::system("test")).await.unwrap();
            let attempt = PasswordAttempt::new(World::PASSWORD);
            let signed = sessions::sign_in(&there, Origin::default(), "admin", attempt, Once::each_time())
                .await
                .unwrap();
            here.clock.advance(Duration::from_millis(50));
            sessions::verify(&here.app, signed.access.reveal()).await.unwrap();
        }
    });
}
