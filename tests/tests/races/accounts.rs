//! Races about people: accounts, sessions, roles, mentors.

use crate::ROUNDS;
use crate::plant::{Plant, codes, right};
use domain::access::rights::{EditUser, ManageRoles, ManageUsers, ViewRoles};
use domain::access::{Granted, Origin, Permissions};
use domain::app::roles::RoleDraft;
use domain::app::users::UserChange;
use domain::app::{App, mentors, roles, sessions, users};
use domain::error::{Code, Error};
use domain::id::UserId;
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::roles::RoleRef;
use domain::testing::World;
use domain::text::{Description, RoleName, Username};
use domain::users::{PasswordAttempt, UserFilter, UserRef};
use futures_util::future::join_all;
use std::collections::BTreeSet;

async fn register(app: &App, name: &str, is_mentor: bool) -> Result<UserId, Error> {
    let person = World::registration(name, is_mentor)?;
    Ok(users::register(app, Origin::default(), person, Once::each_time()).await?.user.id)
}

async fn registered(plant: &Plant, name: &str, is_mentor: bool) -> UserId {
    register(&plant.app, name, is_mentor).await.unwrap()
}

async fn change(app: &App, id: UserId, change: UserChange) -> Result<(), Error> {
    users::change(app, right(), id, change, Precondition::None).await.map(|_| ())
}

/// Signs somebody in and asks for the right to edit others in their name.
async fn rights_of(app: &App, name: &str) -> Result<Granted<EditUser>, Error> {
    let attempt = PasswordAttempt::new(World::PASSWORD);
    let pair = sessions::sign_in(app, Origin::default(), name, attempt, Once::each_time()).await?;
    Ok(sessions::authenticate(app, pair.access.reveal(), Origin::default()).await?.grant()?)
}

pub(crate) async fn equal_registrations_make_one_account(plant: Plant) {
    for round in 0..ROUNDS {
        let name = format!("anna{round}");
        let results = plant
            .at_once(50, |app, _| {
                let name = name.clone();
                async move { register(&app, &name, false).await }
            })
            .await;
        assert_eq!(codes(&results), [Code::Taken; 49], "round {round}");
        let usernames = vec![Username::parse(&name).unwrap()];
        let rows = plant.all_users(UserFilter { usernames, ..UserFilter::default() }).await;
        assert_eq!(rows.len(), 1);
    }
}

pub(crate) async fn a_refresh_token_has_one_successor(plant: Plant) {
    for round in 0..ROUNDS {
        let attempt = PasswordAttempt::new(World::PASSWORD);
        let first = sessions::sign_in(&plant.app, Origin::default(), "admin", attempt, Once::each_time())
            .await
            .unwrap();
        let results =
            plant
                .at_once(50, |app, _| {
                    let token = first.refresh.clone();
                    async move {
                        sessions::refresh(&app, Origin::default(), token.reveal(), Once::each_time()).await
                    }
                })
                .await;
        let successors: BTreeSet<String> =
            results.iter().flatten().map(|pair| pair.refresh.reveal().to_owned()).collect();
        assert_eq!(successors.len(), 1, "round {round}: {:?}", codes(&results));

        let successor = successors.first().unwrap();
        let third =
            sessions::refresh(&plant.app, Origin::default(), successor, Once::each_time()).await.unwrap();
        let reuse =
            sessions::refresh(&plant.app, Origin::default(), first.refresh.reveal(), Once::each_time()).await;
        assert_eq!(codes(&[reuse]), [Code::InvalidCredentials]);
        assert!(sessions::verify(&plant.app, third.access.reveal()).await.is_err(), "the session is over");
    }
}

pub(crate) async fn every_mentor_pointer_points_at_a_mentor(plant: Plant) {
    let mentees = join_all((0..20).map(|number| {
        let (plant, name) = (&plant, format!("mentee{number}"));
        async move { registered(plant, &name, false).await }
    }))
    .await;
    for round in 0..ROUNDS {
        let mentor = registered(&plant, &format!("mentor{round}"), true).await;
        let results = plant
            .at_once(mentees.len() + 1, |app, number| {
                let mentee = mentees.get(number).copied();
                async move {
                    match mentee {
                        Some(mentee) => {
                            let mentor = UserRef::Id(mentor);
                            mentors::assign(&app, right(), mentee, mentor, Precondition::None)
                                .await
                                .map(|_| ())
                        }
                        None => {
                            let demotion = UserChange { is_mentor: Some(false), ..UserChange::default() };
                            change(&app, mentor, demotion).await
                        }
                    }
                }
            })
            .await;
        assert!(codes(&results).iter().all(|code| *code == Code::InvalidFields), "{:?}", codes(&results));
        let left =
            plant.all_users(UserFilter { mentors: vec![UserRef::Id(mentor)], ..UserFilter::default() }).await;
        assert!(left.is_empty(), "round {round}: {} still point at a former mentor", left.len());
    }
}

pub(crate) async fn mentors_never_form_a_circle(plant: Plant) {
    for round in 0..ROUNDS {
        let ring = join_all((0..5).map(|number| {
            let (plant, name) = (&plant, format!("ring{round}x{number}"));
            async move { registered(plant, &name, true).await }
        }))
        .await;
        let results = plant
            .at_once(ring.len(), |app, number| {
                let pair = (ring.get(number).copied(), ring.get((number + 1) % ring.len()).copied());
                async move {
                    let (mentee, mentor) = (pair.0.unwrap(), UserRef::Id(pair.1.unwrap()));
                    mentors::assign(&app, right(), mentee, mentor, Precondition::None).await.map(|_| ())
                }
            })
            .await;
        assert_eq!(
            codes(&results),
            [Code::InvalidFields],
            "round {round}: exactly one would have closed the circle"
        );
    }
}

pub(crate) async fn one_administrator_stays(plant: Plant) {
    let admins = UserFilter { roles: vec![RoleName::restore("ADMIN".into())], ..UserFilter::default() };
    let first = plant.all_users(admins.clone()).await.first().unwrap().user.id;
    let second = registered(&plant, "second", false).await;
    let promote =
        || UserChange { roles: Some(vec![RoleName::restore("ADMIN".into())]), ..UserChange::default() };
    let demote = || UserChange { roles: Some(Vec::new()), ..UserChange::default() };
    for round in 0..ROUNDS {
        for id in [first, second] {
            change(&plant.app, id, promote()).await.unwrap();
        }
        let results = plant
            .at_once(2, |app, number| {
                let (by, target) = if number == 0 { ("second", first) } else { ("admin", second) };
                async move {
                    let by = rights_of(&app, by).await?;
                    users::change(&app, by, target, demote(), Precondition::None).await.map(|_| ())
                }
            })
            .await;
        // Whoever came second was refused as the last one, or was no administrator any more when they asked.
        let refused = codes(&results);
        let fair = [[Code::LastAdministrator], [Code::PermissionRequired]];
        assert!(fair.iter().any(|codes| *codes == *refused), "round {round}: {refused:?}");
        assert_eq!(plant.all_users(admins.clone()).await.len(), 1);
    }
}

pub(crate) async fn a_deleted_role_is_held_by_nobody(plant: Plant) {
    let holders = join_all((0..10).map(|number| {
        let (plant, name) = (&plant, format!("holder{number}"));
        async move { registered(plant, &name, false).await }
    }))
    .await;
    for round in 0..ROUNDS {
        let name = RoleName::restore(format!("SHIFT-{round}"));
        let draft = RoleDraft {
            name: name.clone(),
            description: Description::restore(String::new()),
            permissions: Permissions::NONE,
        };
        roles::create(&plant.app, right::<ManageRoles>(), draft, Once::each_time()).await.unwrap();
        let role = RoleRef::Name(name.clone());
        let results = plant
            .at_once(holders.len() + 1, |app, number| {
                let (holder, name, role) = (holders.get(number).copied(), name.clone(), role.clone());
                async move {
                    match holder {
                        Some(holder) => {
                            let by = right::<ManageUsers>();
                            roles::give(&app, by, holder, name, Once::each_time()).await.map(|_| ())
                        }
                        None => roles::delete(&app, right(), &role, Precondition::None).await,
                    }
                }
            })
            .await;
        let expected = [Code::NotFound, Code::RoleInUse];
        assert!(
            codes(&results).iter().all(|code| expected.contains(code)),
            "round {round}: {:?}",
            codes(&results)
        );
        let deleted = roles::get(&plant.app, &right::<ViewRoles>(), &role).await.is_err();
        let held = plant.all_users(UserFilter { roles: vec![name], ..UserFilter::default() }).await;
        assert_eq!(held.is_empty(), deleted, "round {round}: deleted and held exclude each other");
    }
}

pub(crate) async fn a_crowd_of_guesses_is_ten_guesses(plant: Plant) {
    for round in 0..ROUNDS {
        let name = format!("victim{round}");
        let results = plant
            .at_once(50, |app, _| {
                let name = name.clone();
                async move {
                    let guess = PasswordAttempt::new("a guess");
                    sessions::sign_in(&app, Origin::default(), &name, guess, Once::each_time()).await
                }
            })
            .await;
        let checked = codes(&results).into_iter().filter(|code| *code == Code::InvalidCredentials).count();
        // Ten, and the odd one that came late enough to have waited its second.
        assert!((10..=12).contains(&checked), "round {round}: {checked} guesses were checked");
    }
}
