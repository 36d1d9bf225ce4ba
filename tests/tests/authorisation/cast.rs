//! Who calls, and what they reach for. After a call that changed something, whoever it was about is made anew, so that no
//! cell sees what another one did.

use crate::requests;
use std::collections::BTreeSet;
use tests::openapi::Operation;
use tests::plant::Machine;
use tests::{Client, Person, Server, Value, json};

/// An id that nothing has.
const NOWHERE: i64 = 999_999;

/// The kinds of callers, as columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// No credential.
    Anonymous,
    /// The role CLIENT.
    Client,
    /// The role OPERATOR.
    Operator,
    /// The role ADMIN.
    Admin,
    /// A role of the customer's own, which reads users and roles.
    Custom,
    /// An administrator who was disabled.
    Disabled,
    /// An administrator who logged out.
    LoggedOut,
    /// A key of an administrator that may do nothing.
    BareKey,
    /// A key of an administrator that may do all that its owner may.
    FullKey,
    /// The same, limited to a machine that nobody reaches for.
    FarKey,
}

impl Caller {
    pub(crate) const ALL: [Caller; 10] = [
        Caller::Anonymous,
        Caller::Client,
        Caller::Operator,
        Caller::Admin,
        Caller::Custom,
        Caller::Disabled,
        Caller::LoggedOut,
        Caller::BareKey,
        Caller::FullKey,
        Caller::FarKey,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Caller::Anonymous => "anonymous",
            Caller::Client => "CLIENT",
            Caller::Operator => "OPERATOR",
            Caller::Admin => "ADMIN",
            Caller::Custom => "custom",
            Caller::Disabled => "disabled",
            Caller::LoggedOut => "logged-out",
            Caller::BareKey => "bare-key",
            Caller::FullKey => "full-key",
            Caller::FarKey => "far-key",
        }
    }

    /// Whether the credential, if there is one, is good for nothing.
    pub(crate) fn is_nobody(self) -> bool {
        matches!(self, Caller::Anonymous | Caller::Disabled | Caller::LoggedOut)
    }

    pub(crate) fn is_machine(self) -> bool {
        matches!(self, Caller::BareKey | Caller::FullKey | Caller::FarKey)
    }

    fn role(self) -> &'static str {
        match self {
            Caller::Anonymous | Caller::Client => "CLIENT",
            Caller::Operator => "OPERATOR",
            Caller::Custom => "custom",
            Caller::Admin
            | Caller::Disabled
            | Caller::LoggedOut
            | Caller::BareKey
            | Caller::FullKey
            | Caller::FarKey => "ADMIN",
        }
    }
}

/// Whose thing a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The call names no thing.
    None,
    /// The caller's own.
    Own,
    /// Somebody else's, or nobody's in particular.
    Other,
    /// One that is not there.
    Absent,
}

impl Target {
    /// The targets that make a difference for an operation.
    pub(crate) fn of(operation: &Operation) -> Vec<Target> {
        let owned = ["/api/users/{", "/api/sessions/{", "/api/api-keys/{", "/api/roles/{"];
        if !operation.path.contains('{') {
            vec![Target::None]
        } else if owned.iter().any(|prefix| operation.path.starts_with(prefix)) {
            vec![Target::Own, Target::Other, Target::Absent]
        } else {
            vec![Target::Other, Target::Absent]
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::None => "-",
            Target::Own => "own",
            Target::Other => "other",
            Target::Absent => "absent",
        }
    }
}

/// Somebody with one of everything: a session, a key, a mentor, and a role that permits nothing.
struct Player {
    person: Person,
    session: Value,
    key: i64,
    spare_role: String,
}

/// A machine with one of everything that hangs on it.
#[derive(Clone)]
pub(crate) struct Machinery {
    pub(crate) machine: i64,
    pub(crate) maintenance: i64,
    pub(crate) reading: String,
    pub(crate) rule: i64,
    pub(crate) alert: i64,
    pub(crate) webhook: i64,
    pub(crate) delivery: i64,
}

impl Machinery {
    fn nowhere() -> Self {
        let reading = format!("{NOWHERE}-0");
        Self {
            machine: NOWHERE,
            maintenance: NOWHERE,
            reading,
            rule: NOWHERE,
            alert: NOWHERE,
            webhook: NOWHERE,
            delivery: NOWHERE,
        }
    }
}

/// What a call names in its path.
pub(crate) struct Subject {
    pub(crate) user: i64,
    pub(crate) session: Value,
    pub(crate) key: i64,
    pub(crate) role: Value,
    pub(crate) held_role: String,
    pub(crate) plant: Machinery,
}

/// Everybody who is needed to ask for the cells of one column.
pub(crate) struct Cast<'a> {
    server: &'a Server,
    director: Person,
    caller: Caller,
    acting: Option<(Player, Client)>,
    other: Option<Player>,
    plant: Option<Machinery>,
    /// A machine that no call is about.
    elsewhere: Machine,
    made: u32,
}

impl<'a> Cast<'a> {
    /// The stage: a mentor, a role of the customer's own, a role to give, a machine that is none of the calls' business.
    pub(crate) async fn new(server: &'a Server, caller: Caller) -> Self {
        let director = server.admin().await;
        server.mentor(requests::MENTOR).await;
        for (name, permissions) in
            [("custom", json!(["users:read", "roles:read"])), (requests::ROLE_TO_GIVE, json!([]))]
        {
            let role = json!({"name": name, "permissions": permissions});
            director.post("/api/roles", role).await.expect(201);
        }
        let elsewhere = director.machine_called("Elsewhere").await;
        Self { server, director, caller, acting: None, other: None, plant: None, elsewhere, made: 0 }
    }

    /// What the caller may do.
    pub(crate) async fn permissions(&self) -> BTreeSet<String> {
        if self.caller == Caller::BareKey {
            return BTreeSet::new();
        }
        let role = self.director.get(&format!("/api/roles/{}", self.caller.role())).await.expect(200);
        serde_json::from_value(role["permissions"].clone()).expect("permissions are names")
    }

    /// Makes the call and answers its status.
    pub(crate) async fn play(&mut self, operation: &Operation, target: Target) -> u16 {
        let (player, client) = match self.acting.take() {
            Some(acting) => acting,
            None => self.actor().await,
        };
        let other = match self.other.take() {
            Some(other) => other,
            None => self.player("CLIENT").await,
        };
        let plant = match self.plant.take() {
            Some(plant) => plant,
            None => self.machinery().await,
        };
        let subject = self.subject(target, (&player, &other, &plant)).await;
        let path = requests::path(operation, target, &subject);
        let call = client.call(operation.method.clone(), &path);
        let fresh = self.fresh_name("new");
        let body = requests::body(self.server, &self.director, operation, (&fresh, &plant)).await;
        let reply = match body {
            Some(body) => body.send_with(call).await,
            None => call.await,
        };
        let changed = reply.status.is_success() && operation.method.as_str() != "GET";
        let is_of_plant = requests::is_of_plant(operation);
        let is_of_people = changed && !is_of_plant;
        if !is_of_people || target == Target::Other {
            self.acting = Some((player, client));
        }
        if !is_of_people || target != Target::Other {
            self.other = Some(other);
        }
        if !changed || !is_of_plant {
            self.plant = Some(plant);
        }
        reply.status.as_u16()
    }

    async fn subject(
        &mut self,
        target: Target,
        (player, other, plant): (&Player, &Player, &Machinery),
    ) -> Subject {
        let of = |player: &Player, role: Value| Subject {
            user: player.person.id,
            session: player.session.clone(),
            key: player.key,
            role,
            held_role: player.spare_role.clone(),
            plant: plant.clone(),
        };
        match target {
            Target::Own => of(player, player.spare_role.clone().into()),
            Target::None | Target::Other => {
                let unused = json!({"name": self.fresh_name("unused"), "permissions": []});
                let unused = self.director.post("/api/roles", unused).await.expect(201);
                of(other, unused["id"].clone())
            }
            Target::Absent => Subject {
                user: NOWHERE,
                session: NOWHERE.into(),
                key: NOWHERE,
                role: NOWHERE.into(),
                held_role: requests::ROLE_TO_GIVE.to_owned(),
                plant: Machinery::nowhere(),
            },
        }
    }

    async fn actor(&mut self) -> (Player, Client) {
        let player = self.player(self.caller.role()).await;
        let person = &player.person;
        let client = match self.caller {
            Caller::Anonymous => self.server.anonymous(),
            Caller::Client | Caller::Operator | Caller::Admin | Caller::Custom => Client::clone(person),
            Caller::Disabled => {
                self.director.patch(&person.path(), json!({"is_active": false})).await.expect(200);
                Client::clone(person)
            }
            Caller::LoggedOut => {
                person.post("/api/logout", json!({})).await.expect(204);
                Client::clone(person)
            }
            Caller::BareKey => person.machine("bare", &[]).await,
            Caller::FullKey => self.key_of(person, json!(null)).await,
            Caller::FarKey => self.key_of(person, json!([self.elsewhere.id])).await,
        };
        (player, client)
    }

    /// A key that may do all that its owner may.
    async fn key_of(&self, person: &Person, equipment: Value) -> Client {
        let all = person.get("/api/permissions").await.expect(200).column("name");
        let body = json!({"name": "full", "permissions": all, "equipment": equipment});
        let key = person.post("/api/api-keys", body).await.expect(201);
        person.bearing(key.text("secret"))
    }

    async fn machinery(&mut self) -> Machinery {
        let director = &self.director;
        let machine = director.machine_called("Press").await;
        let rule = director.rule(json!({"equipment": machine.id})).await.id();
        let entry = json!({"what": "Oiled"});
        let maintenance = director.post(&machine.its("maintenance"), entry).await.expect(201).id();
        let reading = director.post("/api/data", machine.at(0, 90.0)).await.expect(201).text("id").to_owned();
        let alert = director.alerts(&format!("equipment={}", machine.id)).await[0]["id"].as_i64().unwrap();
        let hook = json!({"name": "hook", "url": "https://192.0.2.1.invalid/", "events": ["alert.noted"]});
        let webhook = director.post("/api/webhooks", hook).await.expect(201).id();
        let test = format!("/api/webhooks/{webhook}/test");
        let delivery = director.post(&test, json!({})).await.expect(201).id();
        Machinery { machine: machine.id, maintenance, reading, rule, alert, webhook, delivery }
    }

    async fn player(&mut self, role: &str) -> Player {
        let spare_role = self.fresh_name("spare");
        let body = json!({"name": spare_role, "permissions": []});
        self.director.post("/api/roles", body).await.expect(201);
        let name = self.fresh_name("player");
        let person = self.server.newcomer(&name).await;
        let change = json!({"roles": [role, spare_role], "mentor": requests::MENTOR});
        self.director.patch(&person.path(), change).await.expect(200);
        let session = person.get("/api/sessions").await.expect(200).column("id").remove(0);
        let key =
            person.post("/api/api-keys", json!({"name": "own", "permissions": []})).await.expect(201).id();
        Player { person, session, key, spare_role }
    }

    fn fresh_name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }
}
