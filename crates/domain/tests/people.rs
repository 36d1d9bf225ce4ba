//! Accounts, mentors and roles, as stories over the in-memory store.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

use domain::access::rights::{EditUser, ManageRoles, ManageUsers, ViewUsers};
use domain::access::{Permission, Permissions};
use domain::app::roles::{RoleChange, RoleDraft};
use domain::app::users::UserChange;
use domain::app::{api_keys, mentors, roles, sessions, users};
use domain::error::{Code, Error};
use domain::id::{EquipmentId, UserId};
use domain::idempotency::Once;
use domain::patch::{Patch, Precondition};
use domain::roles::RoleRef;
use domain::testing::{MemoryStore, World};
use domain::text::{Description, Email, Label, RoleName, Username};
use domain::users::{PasswordAttempt, UserFilter, UserQuery, UserRef, UserView};
use pollster::block_on;
use std::sync::Arc;

async fn world() -> World {
    World::over(Arc::new(MemoryStore::default())).await.unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.unwrap_err().code()
}

async fn view(world: &World, id: UserId) -> UserView {
    users::get(&world.app, &World::system::<ViewUsers>().unwrap(), id).await.unwrap()
}

async fn administrator(world: &World) -> UserId {
    world.right_of::<ViewUsers>("admin").await.unwrap().actor().user().unwrap()
}

async fn assign(world: &World, mentee: &UserView, mentor: &UserView) -> Result<UserView, Error> {
    let by = World::system().unwrap();
    mentors::assign(&world.app, by, mentee.user.id, UserRef::Id(mentor.user.id), Precondition::None).await
}

async fn change_as(world: &World, name: &str, id: UserId, change: UserChange) -> Result<UserView, Error> {
    let by = world.right_of::<EditUser>(name).await?;
    users::change(&world.app, by, id, change, Precondition::None).await
}

async fn make_role(world: &World, name: &str, permissions: &[Permission]) -> Result<RoleName, Error> {
    let draft = RoleDraft {
        name: RoleName::parse(name).unwrap(),
        description: Description::restore(String::new()),
        permissions: permissions.iter().copied().collect(),
    };
    let by = World::system::<ManageRoles>()?;
    Ok(roles::create(&world.app, by, draft, Once::each_time()).await?.name)
}

async fn hire(world: &World, name: &str, role: &RoleName) -> UserView {
    let person = world.person(name).await.unwrap();
    let by = World::system::<ManageUsers>().unwrap();
    roles::give(&world.app, by, person.user.id, role.clone(), Once::each_time()).await.unwrap();
    person
}

#[test]
fn a_newcomer_is_a_client_and_nothing_more() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap();
        assert_eq!(anna.roles, [RoleName::restore("CLIENT".into())]);
        assert_eq!(code(world.person("Anna").await), Code::Taken);
    });
}

#[test]
fn every_taken_field_is_named_at_once() {
    block_on(async {
        let world = world().await;
        let mut first = World::registration("anna", false).unwrap();
        first.email = Some(Email::parse("anna@example.com").unwrap());
        let origin = domain::access::Origin::default;
        users::register(&world.app, origin(), first.clone(), Once::each_time()).await.unwrap();
        let again = users::register(&world.app, origin(), first, Once::each_time()).await.unwrap_err();
        let fields: Vec<String> = again.flaws().into_iter().map(|flaw| flaw.field).collect();
        assert_eq!(fields, ["username", "email"]);
    });
}

#[test]
fn ending_a_mentorship_releases_exactly_those_mentees() {
    block_on(async {
        let world = world().await;
        let (ingrid, olaf) = (world.mentor("ingrid").await.unwrap(), world.mentor("olaf").await.unwrap());
        let (a, b, c) = (
            world.person("a").await.unwrap(),
            world.person("b").await.unwrap(),
            world.person("c").await.unwrap(),
        );
        for (mentee, mentor) in [(&a, &ingrid), (&b, &ingrid), (&c, &olaf)] {
            assign(&world, mentee, mentor).await.unwrap();
        }
        let by = World::system().unwrap();
        let released = mentors::end(&world.app, by, ingrid.user.id, Precondition::None).await.unwrap();
        assert_eq!(released.mentees, [a.user.id, b.user.id]);
        assert_eq!(view(&world, c.user.id).await.mentor, Some(olaf.user.username));
        assert!(!view(&world, ingrid.user.id).await.user.is_mentor);
    });
}

#[test]
fn disabling_or_deleting_a_mentor_releases_the_mentees_too() {
    block_on(async {
        let world = world().await;
        for delete in [false, true] {
            let suffix = if delete { "2" } else { "1" };
            let mentor = world.mentor(&format!("ingrid{suffix}")).await.unwrap();
            let mentee = world.person(&format!("a{suffix}")).await.unwrap();
            let assigned = assign(&world, &mentee, &mentor).await.unwrap();
            if delete {
                let by = World::system().unwrap();
                users::delete(&world.app, by, mentor.user.id, Precondition::None).await.unwrap();
            } else {
                let change = UserChange { is_active: Some(false), ..UserChange::default() };
                change_as(&world, "admin", mentor.user.id, change).await.unwrap();
            }
            let released = view(&world, mentee.user.id).await;
            assert_eq!(released.mentor, None);
            assert!(released.user.version > assigned.user.version, "its record changed, so its version did");
        }
    });
}

#[test]
fn a_mentor_is_active_another_person_and_not_below_the_mentee() {
    block_on(async {
        let world = world().await;
        let top = world.mentor("top").await.unwrap();
        let middle = world.mentor("middle").await.unwrap();
        let low = world.mentor("low").await.unwrap();
        let nobody = world.person("nobody").await.unwrap();
        assign(&world, &middle, &top).await.unwrap();
        assign(&world, &low, &middle).await.unwrap();
        for (mentee, mentor, why) in
            [(&top, &low, "cycle"), (&top, &top, "self"), (&top, &nobody, "not_a_mentor")]
        {
            let refused = assign(&world, mentee, mentor).await.unwrap_err();
            let reasons: Vec<_> = refused.flaws().iter().map(|flaw| flaw.reason.code).collect();
            assert_eq!(reasons, [why]);
        }
    });
}

#[test]
fn a_record_changes_its_version_when_what_it_shows_of_others_changes() {
    block_on(async {
        let world = world().await;
        let mentor = world.mentor("ingrid").await.unwrap();
        let mentee = world.person("anna").await.unwrap();
        let assigned = assign(&world, &mentee, &mentor).await.unwrap();
        let shows_mentee = view(&world, mentor.user.id).await;
        assert_eq!(shows_mentee.mentees, std::slice::from_ref(&mentee.user.username));
        assert!(shows_mentee.user.version > mentor.user.version);

        let rename = UserChange { username: Some(Username::parse("inga").unwrap()), ..UserChange::default() };
        change_as(&world, "ingrid", mentor.user.id, rename).await.unwrap();
        let shows_new_name = view(&world, mentee.user.id).await;
        assert_eq!(shows_new_name.mentor.map(|name| name.to_string()), Some("inga".into()));
        assert!(shows_new_name.user.version > assigned.user.version);
    });
}

#[test]
fn one_edits_oneself_but_neither_others_nor_ones_own_power() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap().user.id;
        let ben = world.person("ben").await.unwrap().user.id;
        let phone = UserChange {
            phone: Patch::Set(domain::text::Phone::parse("+49 170 1234567").unwrap()),
            ..UserChange::default()
        };
        change_as(&world, "anna", anna, phone.clone()).await.unwrap();
        assert_eq!(code(change_as(&world, "anna", ben, phone).await), Code::PermissionRequired);
        let powers = [
            UserChange { is_mentor: Some(true), ..UserChange::default() },
            UserChange { is_active: Some(false), ..UserChange::default() },
            UserChange { roles: Some(vec![RoleName::restore("ADMIN".into())]), ..UserChange::default() },
            UserChange { mentor: Patch::Set(UserRef::Id(ben)), ..UserChange::default() },
        ];
        for power in powers {
            assert_eq!(code(change_as(&world, "anna", anna, power).await), Code::PermissionRequired);
        }
        let unchanged = UserChange {
            is_mentor: Some(false),
            is_active: Some(true),
            roles: Some(vec![RoleName::restore("client".into())]),
            ..UserChange::default()
        };
        change_as(&world, "anna", anna, unchanged).await.unwrap();
    });
}

#[test]
fn a_new_email_or_password_takes_the_current_password_and_ends_other_sessions() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap().user.id;
        let elsewhere = world.sign_in("anna").await.unwrap();
        let by = world.right_of::<EditUser>("anna").await.unwrap();
        let email = || UserChange {
            email: Patch::Set(Email::parse("anna@example.com").unwrap()),
            ..UserChange::default()
        };
        let try_it = |proof: Option<&str>| {
            let change = UserChange { current_password: proof.map(PasswordAttempt::new), ..email() };
            users::change(&world.app, by.clone(), anna, change, Precondition::None)
        };
        let flaw = |error: Error| error.flaws().first().map(|flaw| (flaw.field.clone(), flaw.reason.code));
        let at = |code| Some(("current_password".to_owned(), code));
        assert_eq!(flaw(try_it(None).await.unwrap_err()), at("required"));
        assert_eq!(flaw(try_it(Some("guess")).await.unwrap_err()), at("wrong"));
        assert!(sessions::verify(&world.app, elsewhere.access.reveal()).await.is_ok());
        try_it(Some(World::PASSWORD)).await.unwrap();
        assert!(sessions::verify(&world.app, elsewhere.access.reveal()).await.is_err());
        try_it(None).await.unwrap();
    });
}

#[test]
fn nobody_grants_what_they_lack_nor_takes_over_who_may_more() {
    block_on(async {
        let world = world().await;
        let staff =
            make_role(&world, "staff", &[Permission::UsersWrite, Permission::RolesWrite]).await.unwrap();
        hire(&world, "ben", &staff).await;
        let anna = world.person("anna").await.unwrap().user.id;
        let admin = administrator(&world).await;
        let grant =
            UserChange { roles: Some(vec![RoleName::restore("OPERATOR".into())]), ..UserChange::default() };
        assert_eq!(code(change_as(&world, "ben", anna, grant).await), Code::BeyondYourRights);
        let by = world.right_of::<ManageRoles>("ben").await.unwrap();
        let more = RoleChange { permissions: Some(Permissions::all()), ..RoleChange::default() };
        let grown = roles::change(&world.app, by, &RoleRef::Name(staff), more, Precondition::None).await;
        assert_eq!(code(grown), Code::BeyondYourRights);
        let by = world.right_of::<ManageUsers>("ben").await.unwrap();
        let takeover = users::reset_password(&world.app, by, admin, Once::each_time()).await;
        assert_eq!(code(takeover), Code::BeyondYourRights);
    });
}

#[test]
fn the_last_administrator_can_be_neither_demoted_nor_disabled_nor_deleted() {
    block_on(async {
        let world = world().await;
        let admin = administrator(&world).await;
        let demote = UserChange { roles: Some(Vec::new()), ..UserChange::default() };
        let disable = UserChange { is_active: Some(false), ..UserChange::default() };
        for change in [demote, disable] {
            assert_eq!(code(change_as(&world, "admin", admin, change).await), Code::LastAdministrator);
        }
        let by = || World::system().unwrap();
        let deleted = users::delete(&world.app, by(), admin, Precondition::None).await;
        assert_eq!(code(deleted), Code::LastAdministrator);
        let taken =
            roles::take(&world.app, by(), admin, RoleName::restore("ADMIN".into()), Precondition::None).await;
        assert_eq!(code(taken), Code::LastAdministrator);

        let second = hire(&world, "ben", &RoleName::restore("ADMIN".into())).await;
        users::delete(&world.app, by(), admin, Precondition::None).await.unwrap();
        let deleted = users::delete(&world.app, by(), second.user.id, Precondition::None).await;
        assert_eq!(code(deleted), Code::LastAdministrator);
    });
}

#[test]
fn built_in_roles_and_roles_in_use_stay() {
    block_on(async {
        let world = world().await;
        let by = || World::system::<ManageRoles>().unwrap();
        let client = RoleRef::Name(RoleName::restore("client".into()));
        assert_eq!(
            code(roles::delete(&world.app, by(), &client, Precondition::None).await),
            Code::BuiltInRole
        );
        let staff = make_role(&world, "staff", &[]).await.unwrap();
        let ben = hire(&world, "ben", &staff).await;
        let role = RoleRef::Name(staff.clone());
        assert_eq!(code(roles::delete(&world.app, by(), &role, Precondition::None).await), Code::RoleInUse);
        roles::take(&world.app, World::system().unwrap(), ben.user.id, staff, Precondition::None)
            .await
            .unwrap();
        roles::delete(&world.app, by(), &role, Precondition::None).await.unwrap();
        assert_eq!(code(roles::delete(&world.app, by(), &role, Precondition::None).await), Code::NotFound);
    });
}

#[test]
fn who_sees_only_public_fields_cannot_ask_by_the_others() {
    block_on(async {
        let world = world().await;
        world.person("anna").await.unwrap();
        let by = world.right_of::<ViewUsers>("anna").await.unwrap();
        let filter =
            UserFilter { emails: vec![Email::parse("x@example.com").unwrap()], ..UserFilter::default() };
        let asked = users::list(&world.app, &by, UserQuery { filter, ..UserQuery::default() }).await;
        assert_eq!(code(asked), Code::PermissionRequired);
        assert_eq!(users::list(&world.app, &by, UserQuery::default()).await.unwrap().total, 2);
    });
}

#[test]
fn a_key_may_what_it_was_given_as_long_as_its_owner_may() {
    block_on(async {
        let world = world().await;
        let operator = RoleName::restore("OPERATOR".into());
        let ben = hire(&world, "ben", &operator).await;
        let by = || world.right_of("ben");
        let draft = |name: &str, permission| api_keys::ApiKeyDraft {
            name: Label::parse(name).unwrap(),
            permissions: [permission].into_iter().collect(),
            equipment: None,
            expires_at: None,
        };
        let beyond = api_keys::create(
            &world.app,
            by().await.unwrap(),
            draft("x", Permission::UsersWrite),
            Once::each_time(),
        );
        assert_eq!(code(beyond.await), Code::BeyondYourRights);
        let good = draft("furnace gateway", Permission::DataWrite);
        let fresh = api_keys::create(&world.app, by().await.unwrap(), good, Once::each_time()).await.unwrap();
        let may = async || {
            let from = domain::access::Origin::default();
            sessions::authenticate(&world.app, fresh.secret.reveal(), from).await.unwrap().permissions()
        };
        assert_eq!(may().await, [Permission::DataWrite].into_iter().collect());
        roles::take(&world.app, World::system().unwrap(), ben.user.id, operator, Precondition::None)
            .await
            .unwrap();
        assert!(may().await.is_empty());
        api_keys::revoke(&world.app, by().await.unwrap(), fresh.key.id, Precondition::None).await.unwrap();
        let revoked = sessions::authenticate(&world.app, fresh.secret.reveal(), Default::default()).await;
        assert_eq!(code(revoked), Code::Unauthenticated);
    });
}

#[test]
fn a_stale_precondition_changes_nothing() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap().user;
        let by = || World::system::<EditUser>().unwrap();
        let rename = |name: &str| UserChange {
            username: Some(Username::parse(name).unwrap()),
            ..UserChange::default()
        };
        let first = Precondition::OneOf(vec![anna.version]);
        users::change(&world.app, by(), anna.id, rename("anne"), first.clone()).await.unwrap();
        let second = users::change(&world.app, by(), anna.id, rename("anja"), first).await;
        assert_eq!(code(second), Code::StaleVersion);
        assert_eq!(view(&world, anna.id).await.user.username.as_str(), "anne");
    });
}

#[test]
fn who_only_manages_users_can_still_make_a_plain_account() {
    block_on(async {
        let world = world().await;
        let staff = make_role(&world, "staff", &[Permission::UsersWrite]).await.unwrap();
        hire(&world, "ben", &staff).await;
        let account = |name, roles| users::NewAccount {
            person: World::registration(name, false).unwrap(),
            is_active: true,
            roles,
            mentor: None,
        };
        let by = || world.right_of::<ManageUsers>("ben");
        let plain = account("anna", None);
        let made = users::create(&world.app, by().await.unwrap(), plain, Once::each_time()).await.unwrap();
        assert_eq!(made.roles, [RoleName::restore("CLIENT".into())]);
        let powerful = account("carl", Some(vec![RoleName::restore("OPERATOR".into())]));
        let refused = users::create(&world.app, by().await.unwrap(), powerful, Once::each_time()).await;
        assert_eq!(code(refused), Code::BeyondYourRights);
    });
}

#[test]
fn nobody_gets_around_the_current_password_by_resetting_their_own() {
    block_on(async {
        let world = world().await;
        let by = world.right_of::<ManageUsers>("admin").await.unwrap();
        let admin = by.actor().user().unwrap();
        let refused = users::reset_password(&world.app, by, admin, Once::each_time()).await;
        assert_eq!(code(refused), Code::PermissionRequired);
    });
}

fn fields(error: &Error) -> Vec<(String, &'static str)> {
    error.flaws().into_iter().map(|flaw| (flaw.field, flaw.reason.code)).collect()
}

#[test]
fn all_that_is_wrong_with_an_account_is_named_at_once() {
    block_on(async {
        let world = world().await;
        let anna = world.person("anna").await.unwrap().user.id;
        let (mentor, roles) =
            (UserRef::Id(UserId::new(999).unwrap()), vec![RoleName::restore("BOSS".into())]);
        let expected = [("mentor".to_owned(), "unknown"), ("roles.0".to_owned(), "unknown")];
        let account = users::NewAccount {
            person: World::registration("eve", false).unwrap(),
            is_active: true,
            roles: Some(roles.clone()),
            mentor: Some(mentor.clone()),
        };
        let refused = users::create(&world.app, World::system().unwrap(), account, Once::each_time()).await;
        assert_eq!(fields(&refused.unwrap_err()), expected);
        let change = UserChange { roles: Some(roles), mentor: Patch::Set(mentor), ..UserChange::default() };
        let mut told = fields(&change_as(&world, "admin", anna, change).await.unwrap_err());
        told.sort_unstable();
        assert_eq!(told, expected);
        assert_eq!(view(&world, anna).await.roles, [RoleName::restore("CLIENT".into())]);
    });
}

#[test]
fn a_user_has_so_many_keys_and_all_that_is_wrong_with_one_more_is_named_at_once() {
    block_on(async {
        let world = world().await;
        world.person("anna").await.unwrap();
        let make = async |number: u64, equipment: Option<Vec<EquipmentId>>, expires_at| {
            let name = Label::parse(&format!("key {number}")).unwrap();
            let draft = api_keys::ApiKeyDraft { name, permissions: Permissions::NONE, equipment, expires_at };
            let by = world.right_of("anna").await?;
            api_keys::create(&world.app, by, draft, Once::each_time()).await
        };
        let none = make(0, Some(Vec::new()), None).await.unwrap_err();
        assert_eq!(fields(&none), [("equipment".to_owned(), "too_few")]);
        for number in 0..api_keys::MOST {
            assert!(make(number, None, None).await.unwrap().key.equipment.is_empty());
        }
        let unknown = Some(vec![EquipmentId::new(999).unwrap()]);
        let refused = make(1000, unknown, Some(world.app.clock.now())).await.unwrap_err();
        let expected = [("expires_at", "past"), ("api_keys", "too_many"), ("equipment.0", "unknown")];
        assert_eq!(fields(&refused), expected.map(|(field, code)| (field.to_owned(), code)));
    });
}
