//! Where plants are made: a server over PostgreSQL with machines and rules in it.
//!
//! Registering machines takes longer than many a measurement, so it is done once; each plant is a copy.

use crate::database::Database;
use crate::failure::Outcome;
use crate::plan::{EQUIPMENT, Plan, Split, Timeline};
use crate::process::Meter;
use crate::server::Server;
use std::collections::HashMap;

/// A server over PostgreSQL with a plant in it, and the plant's time.
pub(crate) struct Plant {
    // Fields are dropped in this order: the server lets go before its database does.
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) timeline: Timeline,
}

impl Plant {
    /// The next readings, as [`Timeline::next`] has them.
    pub(crate) fn next(&mut self, readings: usize, connections: usize) -> Split {
        self.timeline.next(readings, connections)
    }

    /// Measures processor time from now on.
    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.server.pid(), self.database.postmaster())
    }
}

/// A database with a plant in it that nobody serves.
struct Template {
    database: Database,
    equipment: Vec<i64>,
    key: String,
}

/// Makes plants.
pub(crate) struct Workshop {
    pub(crate) plan: Plan,
    /// By their number of rules.
    templates: HashMap<usize, Template>,
}

impl Workshop {
    /// An empty one.
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, templates: HashMap::new() }
    }

    /// A plant of a thousand machines and this many rules.
    pub(crate) async fn plant(&mut self, purpose: &str, rules: usize) -> Outcome<Plant> {
        let template = self.template(rules).await?;
        let database = template.database.copy_of(purpose)?;
        let (equipment, key) = (template.equipment.clone(), template.key.clone());
        let server = Server::start_with(&self.plan.server, database.url(), key).await?;
        Ok(Plant { server, database, timeline: Timeline::of(equipment) })
    }

    async fn template(&mut self, rules: usize) -> Outcome<&Template> {
        if !self.templates.contains_key(&0) {
            let bare = self.with_machines().await?;
            self.templates.insert(0, bare);
        }
        let bare = self.templates.get(&0).ok_or("machines come before rules")?;
        if !self.templates.contains_key(&rules) {
            let ruled = self.with_rules(bare, rules).await?;
            self.templates.insert(rules, ruled);
        }
        Ok(self.templates.get(&rules).ok_or("the template was just made")?)
    }

    async fn with_machines(&self) -> Outcome<Template> {
        let database = Database::create(&self.plan.database_url, "template_0")?;
        database.make_haste()?;
        let server = Server::start(&self.plan.server, database.url()).await?;
        let equipment = server.register(0, EQUIPMENT).await?;
        Template::of(database, server, equipment).await
    }

    async fn with_rules(&self, bare: &Template, rules: usize) -> Outcome<Template> {
        let database = bare.database.copy_of(&format!("template_{rules}"))?;
        database.make_haste()?;
        let server = Server::start_with(&self.plan.server, database.url(), bare.key.clone()).await?;
        server.make_rules(rules, &bare.equipment).await?;
        Template::of(database, server, bare.equipment.clone()).await
    }
}

impl Template {
    async fn of(database: Database, server: Server, equipment: Vec<i64>) -> Outcome<Self> {
        let key = server.stop().await?;
        // As after some minutes of work: otherwise statistics would appear in the middle of a measurement.
        database.ask("VACUUM ANALYZE")?;
        Ok(Self { database, equipment, key })
    }
}
