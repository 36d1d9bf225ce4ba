//! `techtrack demo`: serves a small plant that moves, for people who want to see what this is about.
//!
//! - What there is: [`kinds`] of machines, the [`plant`] that they stand in, the [`people`] and the [`rules`].
//! - What it does: [`generator`] says what a machine measures, [`history`] makes the past, [`live`] the present.
//!
//! All of it goes through the use cases, like what a real plant would send.

mod generator;
mod history;
mod kinds;
mod live;
mod people;
mod plant;
mod rules;

use crate::address::Reached;
use crate::config::Config;
use crate::failure::Failure;
use crate::serve::{Server, StopSignals};
use domain::app::{App, setup, signing_keys};
use history::Past;
use std::sync::Arc;

/// Where the demo keeps its data when nobody names a database.
pub(super) const DATABASE: &str = "var/demo.db";

/// What the audit trail says of what the demo does in nobody's name.
const DEMO: &str = "demo";

/// Serves the plant until told to stop. What is not there yet is made first.
pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let Some(opened) = stop.unless_stopped(Server::open(config)).await else {
        return Ok(());
    };
    let server = opened?;
    let app = Arc::clone(server.app());
    found(&app).await?;
    let Some(machines) = stop.unless_stopped(history::load(&app, Past::WEEK)).await else {
        return Ok(());
    };
    let _live = live::start(&app, machines?).await?;
    server.serve(config, stop, welcome).await
}

/// Makes the plant in a database without equipment. One that has some must be the demo's own, and stays as it is.
async fn found(app: &App) -> Result<(), Failure> {
    if !plant::find(app).await?.is_empty() {
        return Ok(());
    }
    if !plant::is_empty(app).await? {
        let advice = "name another one with --database-url, such as sqlite://var/demo.db";
        return Err(Failure::Usage(format!("the database holds equipment that is not the demo's; {advice}")));
    }
    setup::install_built_in_roles(app).await?;
    signing_keys::load(app).await?;
    people::employ(app).await?;
    // Rules judge what arrives once they are there, so they come before all readings.
    rules::install(app).await?;
    let technician = people::acting(app, people::TECHNICIAN).await?;
    plant::register(app, &technician).await?;
    Ok(())
}

fn welcome(reached: &Reached) -> String {
    let (base, login, password) = (&reached.base, people::OPERATOR, people::PASSWORD);
    let logins = people::logins().filter(|other| *other != login).collect::<Vec<_>>().join(", ");
    let danger = if reached.is_local {
        ""
    } else {
        "\n  OTHERS CAN REACH THIS SERVER, and everybody knows the password. Use --listen 127.0.0.1:8000.\n"
    };
    format!(
        "
THIS IS A DEMO: a plant that does not exist, with a password that everybody knows.
{danger}
  login     {login}
  password  {password}
  also      {logins}

Watch it live:
  token=$(curl -s {base}/api/token/ -H 'Content-Type: application/json' \\
      -d '{{\"username\":\"{login}\",\"password\":\"{password}\"}}' | jq -r .access)
  curl -sN {base}/api/stream -H \"Authorization: Bearer $token\"

Ctrl-C ends it; started again, it goes on where it was.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::granted;
    use crate::compose::scratch::Scratch;
    use domain::access::rights::{ManageEquipment, ViewAlerts, ViewData, ViewEquipment, ViewUsers};
    use domain::alerts::{AlertQuery, AlertStatus};
    use domain::app::{alerts, equipment, maintenance, metrics, users};
    use domain::equipment::EquipmentQuery;
    use domain::idempotency::Once;
    use domain::maintenance::MaintenanceQuery;
    use domain::page::PageRequest;
    use domain::telemetry::MetricQuery;
    use domain::testing::{MemoryStore, World};
    use domain::users::UserQuery;
    use std::time::Duration;

    const AFTERNOON: Past = Past { loosely: Duration::ZERO, closely: Duration::from_secs(4 * 60 * 60) };

    async fn new_app() -> App {
        World::over(Arc::new(MemoryStore::default())).await.unwrap().app
    }

    #[tokio::test]
    async fn a_new_database_gets_machines_people_a_past_and_alerts_of_every_status() {
        let scratch = Scratch::new();
        let app = scratch.app().await;
        found(&app).await.unwrap();
        let machines = history::load(&app, AFTERNOON).await.unwrap();
        assert_eq!(machines.len(), 24);

        let by = granted::<ViewEquipment>("test").unwrap();
        let pieces = equipment::list(&app, &by, EquipmentQuery::default()).await.unwrap().value;
        assert_eq!(
            (pieces.total, pieces.items.iter().filter(|piece| piece.details.parent.is_some()).count()),
            (39, 15)
        );
        let log = MaintenanceQuery { equipment: machines[0].0, page: PageRequest::default() };
        let log = maintenance::list(&app, &by, &log).await.unwrap();
        assert_eq!((log.total, log.items[0].what.by.name.as_str()), (2, people::TECHNICIAN));

        let by = granted::<ViewData>("test").unwrap();
        let metrics = metrics::list(&app, &by, &MetricQuery::default()).await.unwrap();
        assert_eq!(metrics.total as usize, kinds::METRICS.len());
        assert!(metrics.items.iter().all(|metric| metric.unit.is_some()));

        let by = granted::<ViewUsers>("test").unwrap();
        let people = users::list(&app, &by, UserQuery::default()).await.unwrap().items;
        let supervisor =
            people.iter().find(|person| person.user.username.as_str() == "supervisor.line1").unwrap();
        assert_eq!(supervisor.mentees.len(), 2);

        let by = granted::<ViewAlerts>("test").unwrap();
        let alerts = alerts::list(&app, &by, AlertQuery::default()).await.unwrap().items;
        for status in AlertStatus::ALL {
            assert!(alerts.iter().any(|alert| alert.status == *status), "{status}: {alerts:?}");
        }
    }

    #[tokio::test]
    async fn a_plant_that_is_there_is_left_as_it_is() {
        let app = new_app().await;
        found(&app).await.unwrap();
        let first = history::load(&app, AFTERNOON).await.unwrap();
        let by = granted::<ManageEquipment>("test").unwrap();
        equipment::hide(&app, by, first[0].0, Default::default()).await.unwrap();
        found(&app).await.unwrap();
        let again = history::load(&app, AFTERNOON).await.unwrap();
        let ids = |machines: &[(_, _)]| machines.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&first)[1..]);
    }

    #[tokio::test]
    async fn a_database_with_somebody_elses_equipment_is_refused() {
        let app = new_app().await;
        let by = granted::<ManageEquipment>("test").unwrap();
        let mut details = plant::tests::some_details();
        details.serial_number = None;
        equipment::create(&app, by, details, Once::each_time()).await.unwrap();
        let refusal = found(&app).await.unwrap_err().to_string();
        assert!(refusal.contains("not the demo's"), "{refusal}");
        let by = granted::<ViewUsers>("test").unwrap();
        assert_eq!(users::list(&app, &by, UserQuery::default()).await.unwrap().total, 1);
    }

    #[test]
    fn whoever_lets_others_reach_the_demo_is_warned() {
        let told = |listen: &str| welcome(&Reached::at(listen.parse().unwrap(), false));
        assert!(told("0.0.0.0:8000").contains("OTHERS CAN REACH"));
        let here = told("127.0.0.1:8000");
        assert!(!here.contains("OTHERS") && here.contains("http://127.0.0.1:8000/api/stream"), "{here}");
        assert!(here.contains(people::PASSWORD) && here.contains("DEMO"), "{here}");
    }
}
