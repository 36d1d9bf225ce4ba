//! Users, who mentors whom, and who holds which role.

use crate::Model;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tests::{Method, Person, Server, Value, json};

const PEOPLE: usize = 4;
const ROLES: usize = 2;

/// What an administrator does, to people and roles by their numbers.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Flag(usize, bool),
    Activate(usize, bool),
    Assign(usize, usize),
    Clear(usize),
    Release(usize),
    Delete(usize),
    Give(usize, usize),
    Take(usize, usize),
    Hold(usize, BTreeSet<usize>),
    Abolish(usize),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (one, role) = (0..PEOPLE, 0..ROLES);
    let step = prop_oneof![
        3 => (one.clone(), any::<bool>()).prop_map(|(one, flag)| Step::Flag(one, flag)),
        2 => (one.clone(), any::<bool>()).prop_map(|(one, flag)| Step::Activate(one, flag)),
        8 => (one.clone(), one.clone()).prop_map(|(one, mentor)| Step::Assign(one, mentor)),
        2 => one.clone().prop_map(Step::Clear),
        1 => one.clone().prop_map(Step::Release),
        1 => one.clone().prop_map(Step::Delete),
        3 => (one.clone(), role.clone()).prop_map(|(one, role)| Step::Give(one, role)),
        2 => (one.clone(), role.clone()).prop_map(|(one, role)| Step::Take(one, role)),
        1 => (one, proptest::collection::btree_set(role.clone(), 0..=ROLES)).prop_map(|(one, roles)| Step::Hold(one, roles)),
        1 => role.prop_map(Step::Abolish),
    ];
    vec(step, 1..25)
}

#[derive(Clone, Debug)]
struct Somebody {
    id: i64,
    login: String,
    is_there: bool,
    is_active: bool,
    is_mentor: bool,
    mentor: Option<usize>,
    roles: BTreeSet<usize>,
}

pub(crate) struct People {
    people: Vec<Somebody>,
    /// Their names, while they are there.
    roles: Vec<Option<String>>,
}

impl People {
    fn can_mentor(&self, one: usize) -> bool {
        self.people[one].is_there && self.people[one].is_active && self.people[one].is_mentor
    }

    fn is_above(&self, above: usize, one: usize) -> bool {
        let mut next = self.people[one].mentor;
        while let Some(mentor) = next {
            if mentor == above {
                return true;
            }
            next = self.people[mentor].mentor;
        }
        false
    }

    fn release(&mut self, mentor: usize) {
        self.people.iter_mut().filter(|one| one.mentor == Some(mentor)).for_each(|one| one.mentor = None);
    }

    fn role(&self, role: usize) -> &str {
        self.roles[role].as_deref().unwrap_or("no-such-role")
    }

    /// What is to come of a step, which is done in the model if anything is.
    fn expected(&mut self, step: &Step) -> u16 {
        let is_there = |one: usize| self.people[one].is_there;
        match *step {
            Step::Flag(one, _)
            | Step::Activate(one, _)
            | Step::Assign(one, _)
            | Step::Clear(one)
            | Step::Release(one)
            | Step::Delete(one)
            | Step::Give(one, _)
            | Step::Take(one, _)
            | Step::Hold(one, _)
                if !is_there(one) =>
            {
                404
            }
            Step::Flag(one, flag) => {
                self.people[one].is_mentor = flag;
                if !flag {
                    self.release(one);
                }
                200
            }
            Step::Activate(one, active) => {
                self.people[one].is_active = active;
                if !active {
                    self.release(one);
                }
                200
            }
            Step::Assign(one, mentor) => {
                let stays = self.people[one].mentor == Some(mentor);
                let may = self.can_mentor(mentor) && one != mentor && !self.is_above(one, mentor);
                if !stays && !may {
                    return 422;
                }
                self.people[one].mentor = Some(mentor);
                200
            }
            Step::Clear(one) => match self.people[one].mentor.take() {
                Some(_) => 204,
                None => 404,
            },
            Step::Release(one) if self.people[one].is_mentor => {
                self.people[one].is_mentor = false;
                self.release(one);
                200
            }
            Step::Release(_) => 404,
            Step::Delete(one) => {
                self.people[one].is_there = false;
                self.people[one].mentor = None;
                self.people[one].roles.clear();
                self.release(one);
                204
            }
            Step::Give(_, role) if self.roles[role].is_none() => 404,
            Step::Give(one, role) => {
                self.people[one].roles.insert(role);
                201
            }
            Step::Take(one, role) if self.people[one].roles.remove(&role) => 204,
            Step::Take(..) => 404,
            Step::Hold(_, ref roles) if roles.iter().any(|role| self.roles[*role].is_none()) => 422,
            Step::Hold(one, ref roles) => {
                self.people[one].roles = roles.clone();
                200
            }
            Step::Abolish(role) if self.roles[role].is_none() => 404,
            Step::Abolish(role) if self.people.iter().any(|one| one.roles.contains(&role)) => 409,
            Step::Abolish(role) => {
                self.roles[role] = None;
                204
            }
        }
    }
}

impl Model for People {
    type Step = Step;

    async fn begin(_: &Server, admin: &Person, number: usize) -> Self {
        let mut people = Vec::new();
        for one in 0..PEOPLE {
            let login = format!("person-{number}-{one}");
            let person = json!({"username": login, "password": "Gr4nite-Kettle", "is_mentor": one % 2 == 0, "roles": []});
            let id = admin.post("/api/users", person).await.expect(201).id();
            people.push(Somebody {
                id,
                login,
                is_there: true,
                is_active: true,
                is_mentor: one % 2 == 0,
                mentor: None,
                roles: BTreeSet::new(),
            });
        }
        let mut roles = Vec::new();
        for role in 0..ROLES {
            let name = format!("role-{number}-{role}");
            admin.post("/api/roles", json!({"name": name, "permissions": []})).await.expect(201);
            roles.push(Some(name));
        }
        Self { people, roles }
    }

    async fn take(&mut self, admin: &Person, step: &Step) {
        let path = |one: usize| format!("/api/users/{}", self.people[one].id);
        let call = match step {
            Step::Flag(one, flag) => admin.patch(&path(*one), json!({"is_mentor": flag})),
            Step::Activate(one, active) => admin.patch(&path(*one), json!({"is_active": active})),
            Step::Assign(one, mentor) => {
                admin.put(&format!("{}/mentor", path(*one)), json!({"mentor": self.people[*mentor].id}))
            }
            Step::Clear(one) => admin.delete(&format!("{}/mentor", path(*one))),
            Step::Release(one) => admin.delete(&format!("{}/mentees", path(*one))),
            Step::Delete(one) => admin.delete(&path(*one)),
            Step::Give(one, role) => {
                admin.call(Method::POST, &format!("{}/roles/{}", path(*one), self.role(*role)))
            }
            Step::Take(one, role) => admin.delete(&format!("{}/roles/{}", path(*one), self.role(*role))),
            Step::Hold(one, roles) => {
                let names: Vec<&str> = roles.iter().map(|role| self.role(*role)).collect();
                admin.put(&format!("{}/roles", path(*one)), json!({"roles": names}))
            }
            Step::Abolish(role) => admin.delete(&format!("/api/roles/{}", self.role(*role))),
        };
        let reply = call.await;
        let expected = self.expected(step);
        assert_eq!(reply.status.as_u16(), expected, "{step:?} was answered {}", reply.start());
    }

    async fn hold(&self, admin: &Person) {
        for (number, one) in self.people.iter().enumerate() {
            let path = format!("/api/users/{}", one.id);
            if !one.is_there {
                admin.get(&path).await.expect(404);
                continue;
            }
            let found = admin.get(&path).await.expect(200);
            let mentor = one.mentor.map_or(Value::Null, |mentor| json!(self.people[mentor].login));
            let names: BTreeSet<&str> = one.roles.iter().map(|role| self.role(*role)).collect();
            let held: BTreeSet<String> = serde_json::from_value(found["roles"].clone()).expect("names");
            assert_eq!(found["mentor"], mentor, "{one:?}");
            assert_eq!(
                (&found["is_mentor"], &found["is_active"]),
                (&json!(one.is_mentor), &json!(one.is_active))
            );
            assert_eq!(held.iter().map(String::as_str).collect::<BTreeSet<_>>(), names, "{one:?}");
            if one.is_mentor {
                let mentees = self.people.iter().filter(|other| other.mentor == Some(number));
                let mentees: Vec<&str> = mentees.map(|mentee| mentee.login.as_str()).collect();
                assert_eq!(found["mentees"], json!(mentees), "{one:?}");
            }
        }
    }
}
