//! `techtrack import`: equipment from a file of comma-separated values. Good lines are imported, bad ones are told.
//!
//! [`sheet`] reads the file, [`super::columns`] its cells, and [`ledger`] decides what becomes of each line.

mod ledger;
mod sheet;

use super::columns::{Column, Draft};
use super::{export, granted};
use crate::compose;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use domain::access::rights::ManageEquipment;
use domain::app::App;
use domain::app::equipment as register;
use domain::equipment::Details;
use domain::error::{Error, Kind};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::patch::Precondition;
use indicatif::ProgressBar;
use ledger::{Ledger, Step};
use sheet::{Line, Sheet};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What the audit trail says of an import.
const IMPORT: &str = "import";

/// Imports equipment from a file, or with `rehearse` only says what would become of it.
pub(crate) async fn equipment(config: &Config, path: &Path, rehearse: bool) -> Result<(), Failure> {
    let place = path.display();
    let file = std::fs::read(path)
        .map_err(|error| Failure::while_doing(format!("{place} cannot be read"), &error))?;
    let sheet = Sheet::read(&file).map_err(|why| Failure::failed(format!("{place}: {why}")))?;
    let app = compose::prepared(config).await?;
    let total = sheet.lines.len();
    let progress = terminal::progress(total, "importing");
    let mut report = Report::default();
    let hand = if rehearse { Hand::Rehearsing } else { Hand::Writing(&app) };
    let ended = import(&app, sheet, hand, &mut report, &progress).await;
    progress.finish_and_clear();
    tell(&report, rehearse)?;
    ended?;
    match report.failed.len() {
        0 => Ok(()),
        failed => Err(Failure::failed(format!("{place}: {failed} of {total} lines failed"))),
    }
}

fn tell(report: &Report, rehearse: bool) -> std::io::Result<()> {
    for (line, why) in &report.failed {
        terminal::complain(&format!("line {line}: {why}"));
    }
    let what = if rehearse { "Nothing was written. An import would end so: " } else { "" };
    terminal::print(&format!("{what}{report}"))
}

/// What became of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    created: u64,
    updated: u64,
    unchanged: u64,
    /// What was wrong, by line.
    failed: BTreeMap<u64, String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { created, updated, unchanged, failed } = self;
        write!(f, "{created} created, {updated} updated, {unchanged} unchanged, {} failed.", failed.len())
    }
}

/// A line that could be read.
struct Entry {
    number: u64,
    draft: Draft,
}

async fn import(
    app: &App,
    sheet: Sheet,
    hand: Hand<'_>,
    report: &mut Report,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let mut register = export::all_equipment(app, false).await?;
    register.extend(export::all_equipment(app, true).await?);
    let ledger = Ledger::of(register, sheet.columns.contains(&Column::Id));
    Import { hand, ledger, report, progress }.all(sheet).await
}

/// Whether what is decided is done.
#[derive(Clone, Copy)]
enum Hand<'a> {
    Writing(&'a App),
    Rehearsing,
}

struct Import<'a> {
    hand: Hand<'a>,
    ledger: Ledger,
    report: &'a mut Report,
    progress: &'a ProgressBar,
}

impl Import<'_> {
    /// Handles all lines; those whose parent stands further down wait for it.
    async fn all(mut self, sheet: Sheet) -> Result<(), Failure> {
        let lines = sheet.lines.into_iter();
        let mut waiting: Vec<Entry> = lines.filter_map(|line| self.read(&sheet.columns, line)).collect();
        loop {
            let before = waiting.len();
            let mut later = Vec::new();
            for entry in waiting {
                later.extend(self.handle(entry).await?);
            }
            if later.len() == before {
                return self.refuse_orphans(&later);
            }
            waiting = later;
        }
    }

    fn read(&mut self, columns: &[Column], line: Line) -> Option<Entry> {
        let draft = line.cells.and_then(|cells| draft(columns, &cells));
        draft
            .map(|draft| Entry { number: line.number, draft })
            .map_err(|why| self.refuse(line.number, why))
            .ok()
    }

    /// Does what is due with a line; gives it back when its time has not come.
    async fn handle(&mut self, entry: Entry) -> Result<Option<Entry>, Failure> {
        let done = match self.ledger.judge(&entry.draft) {
            Ok(Step::Wait) => return Ok(Some(entry)),
            Ok(step) => self.carry_out(step).await,
            Err(error) => Err(error),
        };
        match done {
            Ok((id, details)) => {
                self.ledger.note(&entry.draft, id, details);
                self.progress.inc(1);
            }
            Err(error) => self.fail(entry.number, &error)?,
        }
        Ok(None)
    }

    async fn carry_out(&mut self, step: Step) -> Result<(EquipmentId, Details), Error> {
        match step {
            Step::Create(details) => {
                let id = match self.hand {
                    Hand::Writing(app) => {
                        let by = granted::<ManageEquipment>(IMPORT)?;
                        register::create(app, by, details.clone(), Once::each_time()).await?.id
                    }
                    Hand::Rehearsing => self.ledger.unused_id().ok_or(Error::NotFound("equipment"))?,
                };
                self.report.created += 1;
                Ok((id, details))
            }
            Step::Update(id, change, details) => {
                if let Hand::Writing(app) = self.hand {
                    let by = granted::<ManageEquipment>(IMPORT)?;
                    register::change(app, by, id, change, Precondition::None).await?;
                }
                self.report.updated += 1;
                Ok((id, details))
            }
            Step::Leave(id, details) => {
                self.report.unchanged += 1;
                Ok((id, details))
            }
            Step::Wait => Err(orphaned()),
        }
    }

    fn refuse_orphans(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        entries.iter().try_for_each(|entry| self.fail(entry.number, &orphaned()))
    }

    /// Tells what is wrong with a line. What is wrong with the installation ends the import; the lines before stay imported.
    fn fail(&mut self, line: u64, error: &Error) -> Result<(), Failure> {
        match error.code().kind() {
            Kind::Invalid | Kind::Missing | Kind::Conflict => self.refuse(line, told(error)),
            Kind::Unauthenticated
            | Kind::Forbidden
            | Kind::Stale
            | Kind::Limited
            | Kind::Busy
            | Kind::Fault => return Err(Failure::while_doing(format!("stopped at line {line}"), error)),
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, why: String) {
        self.report.failed.insert(line, why);
        self.progress.inc(1);
    }
}

/// What the cells of a line say, or everything that is wrong with them.
fn draft(columns: &[Column], cells: &[String]) -> Result<Draft, String> {
    let mut draft = Draft::default();
    let mut flaws = Vec::new();
    for (column, cell) in columns.iter().zip(cells) {
        flaws.extend(column.read(cell, &mut draft).err().map(|reason| reason.at(column.name())));
    }
    if flaws.is_empty() { Ok(draft) } else { Err(told(&Error::Invalid(flaws))) }
}

/// The error in terms of the columns that are to blame.
fn told(error: &Error) -> String {
    match error.flaws() {
        flaws if flaws.is_empty() => error.to_string(),
        flaws => Error::Invalid(flaws).to_string(),
    }
}

fn orphaned() -> Error {
    Error::flaw("parent", "unknown", "must be equipment in the register, or of a line that is imported")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::export;
    use crate::compose::scratch::Scratch;
    use domain::equipment::{Equipment, Status};
    use domain::testing::{MemoryStore, World};
    use std::sync::Arc;

    const PLANT: &str = "\
serial_number,name,type,model,parent,status,attributes
HP-1,Press 1,press,P-9,,operational,\"{\"\"tonnage\"\": 250}\"
HP-1-P,Pump,pump,,HP-1,idle,
";

    async fn app() -> App {
        World::over(Arc::new(MemoryStore::default())).await.unwrap().app
    }

    async fn imported(app: &App, file: &str, rehearse: bool) -> Report {
        let (sheet, mut report) = (Sheet::read(file.as_bytes()).unwrap(), Report::default());
        let hand = if rehearse { Hand::Rehearsing } else { Hand::Writing(app) };
        import(app, sheet, hand, &mut report, &ProgressBar::hidden()).await.unwrap();
        report
    }

    async fn register(app: &App) -> Vec<Equipment> {
        export::all_equipment(app, false).await.unwrap()
    }

    fn counts(report: &Report) -> (u64, u64, u64) {
        (report.created, report.updated, report.unchanged)
    }

    fn report(created: u64, updated: u64, unchanged: u64, failed: &[(u64, &str)]) -> Report {
        let failed = failed.iter().map(|(line, why)| (*line, (*why).to_owned())).collect();
        Report { created, updated, unchanged, failed }
    }

    #[tokio::test]
    async fn lines_become_equipment_and_the_same_lines_again_change_nothing() {
        let app = app().await;
        assert_eq!(imported(&app, PLANT, false).await, report(2, 0, 0, &[]));
        let [press, pump] = register(&app).await.try_into().unwrap();
        assert_eq!(press.details.attributes.as_json(), "{\"tonnage\":250}");
        assert_eq!((pump.details.parent, pump.details.status), (Some(press.id), Status::Idle));
        assert_eq!(imported(&app, PLANT, false).await, report(0, 0, 2, &[]));
    }

    #[tokio::test]
    async fn a_registered_serial_number_is_updated_in_the_columns_of_the_file_alone() {
        let app = app().await;
        imported(&app, PLANT, false).await;
        let file = "serial_number,name,type,parent\nhp-1,Press one,press,\nHP-1-P,Pump,pump,\n";
        assert_eq!(imported(&app, file, false).await, report(0, 2, 0, &[]));
        let [press, pump] = register(&app).await.try_into().unwrap();
        assert_eq!(press.details.name.as_str(), "Press one");
        assert_eq!(press.details.model.map(|model| model.to_string()), Some("P-9".to_owned()));
        assert_eq!(pump.details.parent, None);
    }

    #[tokio::test]
    async fn a_rehearsal_says_what_the_import_will_say_and_writes_nothing() {
        let scratch = Scratch::new();
        let app = scratch.app().await;
        imported(&app, PLANT, false).await;
        let before = register(&app).await;
        let file = "\
serial_number,name,type,parent
HP-2-P,Pump 2,pump,HP-2
HP-2,Press 2,press,
HP-1,Press one,press,HP-1-P
HP-1-P,Pump,pump,HP-1
HP-2,Press 3,press,
,,press,
HP-4,Press 4,press,HP-5
";
        let expected = report(
            2,
            0,
            1,
            &[
                (4, "parent must not be the equipment itself or one of its components"),
                (6, "serial_number is already taken by another line"),
                (7, "name must not be empty"),
                (8, "parent must be equipment in the register, or of a line that is imported"),
            ],
        );
        assert_eq!(imported(&app, file, true).await, expected);
        assert_eq!(register(&app).await, before);
        assert_eq!(imported(&app, file, false).await, expected);
        assert_eq!(register(&app).await.len(), before.len() + 2);
    }

    #[tokio::test]
    async fn a_serial_number_of_hidden_equipment_stays_taken() {
        let app = app().await;
        imported(&app, PLANT, false).await;
        let pump = register(&app).await.pop().unwrap().id;
        let by = granted::<ManageEquipment>("test").unwrap();
        super::register::hide(&app, by, pump, Precondition::None).await.unwrap();
        let expected = report(0, 0, 1, &[(3, "serial_number is already taken by hidden equipment")]);
        assert_eq!(imported(&app, PLANT, false).await, expected);
    }

    #[tokio::test]
    async fn a_parent_without_a_serial_number_is_named_by_its_number() {
        let app = app().await;
        let file =
            "id,name,type,parent\n70,Pump,pump,#71\n71,Press,press,\n72,Valve,valve,70\n73,Gauge,gauge,1\n";
        let orphan = (5, "parent must be equipment in the register, or of a line that is imported");
        assert_eq!(imported(&app, file, false).await, report(3, 0, 0, &[orphan]));
        let unnumbered = format!("name,type,parent\nGauge,gauge,{}\n", register(&app).await[0].id);
        assert_eq!(counts(&imported(&app, &unnumbered, false).await), (1, 0, 0));
    }

    #[tokio::test]
    async fn what_was_exported_is_the_same_after_an_import_elsewhere() {
        let (here, there) = (Scratch::new(), Scratch::new());
        let plant = "\
id,name,type,parent,serial_number,location,installation_date,manufacturer,attributes
3,\"Valve, left\",valve,#2,,,,,
2,Pump,pump,HP-1,,,,Brandt & Söhne,\"{\"\"a\"\":\"\"x;y\"\"}\"
1,\"Press \"\"one\"\"\",press,,HP-1,plant-1/line-2,2021-03-15,,
";
        std::fs::write(here.file("plant.csv"), plant).unwrap();
        equipment(&here.config(&[]), &here.file("plant.csv"), false).await.unwrap();
        export::equipment(&here.config(&[]), Some(&here.file("out.csv"))).await.unwrap();
        equipment(&there.config(&[]), &here.file("out.csv"), false).await.unwrap();
        export::equipment(&there.config(&[]), Some(&there.file("out.csv"))).await.unwrap();

        let exported = std::fs::read_to_string(here.file("out.csv")).unwrap();
        assert_eq!(std::fs::read_to_string(there.file("out.csv")).unwrap(), exported);
        assert_eq!(exported.lines().count(), 4);
        assert!(
            exported.contains("Brandt & Söhne") && exported.contains("\"Press \"\"one\"\"\""),
            "{exported}"
        );
    }

    #[tokio::test]
    async fn a_file_with_a_bad_line_fails_and_its_good_lines_are_there() {
        let scratch = Scratch::new();
        std::fs::write(scratch.file("plant.csv"), "name;type\nPress;press\n;pump\n").unwrap();
        let failed = equipment(&scratch.config(&[]), &scratch.file("plant.csv"), false).await.unwrap_err();
        assert!(failed.to_string().ends_with("plant.csv: 1 of 2 lines failed"), "{failed}");
        assert_eq!(register(&scratch.app().await).await.len(), 1);
    }
}
