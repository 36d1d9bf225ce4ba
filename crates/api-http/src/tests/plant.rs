//! A plant with one robot, for the tests of rules, alerts and the live stream.

use super::face::{Face, ask, get};
use domain::access::rights::WriteData;
use domain::app::ingest::{self, Sent};
use domain::equipment::EquipmentRef;
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::ports::Clock;
use domain::telemetry::{MetricName, OnConflict, Tags, Values};
use domain::testing::World;
use serde_json::{Value, json};
use std::ops::Deref;
use std::time::Duration;

pub(super) struct Plant {
    pub(super) face: Face,
    pub(super) admin: String,
    pub(super) robot: EquipmentId,
}

impl Deref for Plant {
    type Target = Face;

    fn deref(&self) -> &Face {
        &self.face
    }
}

impl Plant {
    pub(super) async fn new() -> Self {
        Self::of(Face::new().await).await
    }

    pub(super) async fn of(face: Face) -> Self {
        let admin = face.admin().await;
        let robot = install(&face, &admin, "robot", "WR-0007").await;
        Self { face, admin, robot }
    }

    /// Another piece of equipment.
    pub(super) async fn install(&self, kind: &str, serial: &str) -> EquipmentId {
        install(&self.face, &self.admin, kind, serial).await
    }

    /// The robot reports a temperature.
    pub(super) async fn report(&self, temperature: f64) {
        self.report_of(self.robot, temperature).await;
    }

    /// A piece of equipment reports a temperature, a second after all before.
    pub(super) async fn report_of(&self, equipment: EquipmentId, temperature: f64) {
        self.clock.advance(Duration::from_secs(1));
        let values = Values::of(vec![(MetricName::parse("temperature").unwrap(), temperature)]).unwrap();
        let at = Some(self.clock.now());
        let sent = Sent { equipment: EquipmentRef::Id(equipment), at, values, tags: Tags::new() };
        let by = World::system::<WriteData>().unwrap();
        ingest::one(&self.state.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
    }

    /// A rule that holds anything above 80 against any equipment.
    pub(super) async fn rule(&self) -> Value {
        let rule = json!({"name": "Too hot", "metric": "temperature", "operator": ">", "threshold": 80});
        let made = ask("POST", "/api/alert-rules/").by(&self.admin).json(&rule);
        self.send(made).await.expect(201).json()
    }

    /// The only alert there is.
    pub(super) async fn alert(&self) -> Value {
        let list = self.send(get("/api/alerts/").by(&self.admin)).await.expect(200).json();
        assert_eq!(list["count"], 1, "{list}");
        list["results"][0].clone()
    }
}

async fn install(face: &Face, admin: &str, kind: &str, serial: &str) -> EquipmentId {
    let details = json!({"name": serial, "type": kind, "serial_number": serial});
    EquipmentId::new(face.equipment_with(admin, &details).await).unwrap()
}
