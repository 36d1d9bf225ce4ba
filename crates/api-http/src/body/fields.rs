//! The fields of a body: read once, judged all together, and documented by being read.
//!
//! [`Fields`] notes each field that a reader asks for, with its schema. Run over a request it yields values and flaws;
//! run over an empty object it yields the body's schema ([`schema`]). So a reader must ask for every field before it
//! gives up on any: first all `let`s, then the `?`s.

use crate::body::FromBody;
use crate::body::json::Json;
use crate::values::{Field, nearest};
use domain::app::App;
use domain::error::{Error, Flaw, Reason};
use domain::patch::Patch;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, Schema, SchemaType, Type};

/// How many fields that nobody asked for are told. Whoever sends more of them has not read a word about the body.
const MOST_UNKNOWN: usize = 100;

/// The fields of one body.
pub struct Fields<'a> {
    app: Option<&'a App>,
    given: Vec<(String, Json)>,
    known: Vec<Known>,
    others_matter: bool,
    flaws: Vec<Flaw>,
}

/// A field that the reader asked for.
struct Known {
    name: &'static str,
    required: bool,
    nullable: bool,
    /// Asked for only when the document is written: bodies by the thousand need none.
    schema: fn() -> RefOr<Schema>,
}

impl<'a> Fields<'a> {
    /// The fields of this object, to be judged with the policy of this application.
    pub fn new(app: &'a App, given: Vec<(String, Json)>) -> Self {
        Self { app: Some(app), given, ..Self::none() }
    }

    fn none() -> Self {
        Self { app: None, given: Vec::new(), known: Vec::new(), others_matter: true, flaws: Vec::new() }
    }

    /// A field that must be there.
    pub fn required<T: Field>(&mut self, name: &'static str) -> Option<T> {
        self.know::<T>(name, true, false);
        match self.take(name) {
            Some(json) => self.read(name, json),
            None => {
                self.blame(name, Reason::new("required", "is required"));
                None
            }
        }
    }

    /// A field that may be absent; `null` says the same.
    pub fn optional<T: Field>(&mut self, name: &'static str) -> Option<T> {
        self.know::<T>(name, false, true);
        match self.take(name) {
            Some(Json::Null) | None => None,
            Some(json) => self.read(name, json),
        }
    }

    /// A field that may be absent and then stays as it is. It cannot be emptied.
    pub fn changed<T: Field>(&mut self, name: &'static str) -> Option<T> {
        self.know::<T>(name, false, false);
        let json = self.take(name)?;
        self.read(name, json)
    }

    /// A field that may be absent and then stays as it is; `null` empties it.
    pub fn patched<T: Field>(&mut self, name: &'static str) -> Patch<T> {
        self.know::<T>(name, false, true);
        match self.take(name) {
            None => Patch::Keep,
            Some(Json::Null) => Patch::Clear,
            Some(json) => self.read(name, json).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// A field that is emptied when it is absent, because the whole record is replaced.
    pub fn replaced<T: Field>(&mut self, name: &'static str) -> Patch<T> {
        match self.patched(name) {
            Patch::Keep => Patch::Clear,
            patch @ (Patch::Clear | Patch::Set(_)) => patch,
        }
    }

    /// A required field that the application's policy judges as well.
    pub fn required_by<T, P: Field>(
        &mut self,
        name: &'static str,
        judge: impl FnOnce(&App, P) -> Result<T, Reason>,
    ) -> Option<T> {
        let plain = self.required::<P>(name);
        self.judge(name, plain, judge)
    }

    /// A field that may be absent, and that the application's policy judges if it is there.
    pub fn changed_by<T, P: Field>(
        &mut self,
        name: &'static str,
        judge: impl FnOnce(&App, P) -> Result<T, Reason>,
    ) -> Option<T> {
        let plain = self.changed::<P>(name);
        self.judge(name, plain, judge)
    }

    /// Lets a field go by a second name.
    pub fn alias(&mut self, alias: &'static str, name: &'static str) {
        let position = |name: &str| self.given.iter().position(|(given, _)| given == name);
        match (position(alias), position(name)) {
            (Some(_), Some(_)) => {
                let message = format!("must not be given together with {name}");
                self.take(alias);
                self.blame(alias, Reason::new("ambiguous", message));
            }
            (Some(_), None) => {
                if let Some(json) = self.take(alias) {
                    self.given.push((name.to_owned(), json));
                }
            }
            (None, _) => {}
        }
    }

    /// Fields that a representation carries and a change cannot touch: they may come back, and have no effect.
    pub fn read_only(&mut self, names: &[&'static str]) {
        for name in names {
            self.known.push(Known { name, required: false, nullable: false, schema: read_only_schema });
            self.take(name);
        }
    }

    /// Whatever else is there has no effect.
    pub fn others_have_no_effect(&mut self) {
        self.others_matter = false;
    }

    /// Adds a flaw.
    pub fn blame(&mut self, name: &str, reason: Reason) {
        self.flaws.push(reason.at(name));
    }

    /// Adds flaws that show only when several fields are seen together, on fields that have none of their own.
    pub fn blame_together(&mut self, flaws: Vec<Flaw>) {
        let is_new = |flaw: &Flaw| !self.is_blamed(&flaw.field);
        let mut news: Vec<Flaw> = flaws.into_iter().filter(is_new).collect();
        self.flaws.append(&mut news);
    }

    /// Whether something is wrong with the field.
    pub fn is_blamed(&self, name: &str) -> bool {
        self.flaws.iter().any(|flaw| flaw.field == name)
    }

    /// All flaws at once, unknown fields among them.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.others_matter {
            let names: Vec<&str> = self.known.iter().map(|known| known.name).collect();
            for (name, _) in self.given.iter().take(MOST_UNKNOWN) {
                self.flaws.push(unknown(name, &names));
            }
        }
        if self.flaws.is_empty() { Ok(()) } else { Err(Error::Invalid(self.flaws)) }
    }

    fn know<T: Field>(&mut self, name: &'static str, required: bool, nullable: bool) {
        self.known.push(Known { name, required, nullable, schema: T::schema });
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        let position = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(position).1)
    }

    fn read<T: Field>(&mut self, name: &str, json: Json) -> Option<T> {
        T::read(json, name, &mut self.flaws)
    }

    fn judge<T, P>(
        &mut self,
        name: &'static str,
        plain: Option<P>,
        judge: impl FnOnce(&App, P) -> Result<T, Reason>,
    ) -> Option<T> {
        let app = self.app?;
        match judge(app, plain?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.blame(name, reason);
                None
            }
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> Flaw {
    let message = match nearest(name, known) {
        Some(meant) => format!("is not a field here; did you mean {meant}?"),
        None => "is not a field here".to_owned(),
    };
    Reason::new("unknown_field", message).at(name)
}

/// The schema of a body, from what its reader asks for.
pub fn schema<B: FromBody>() -> Schema {
    let mut fields = Fields::none();
    // Nothing was given, so there is nothing to see in the outcome: what counts is what was asked for.
    let _ = B::read(&mut fields);
    let mut object = Object::with_type(SchemaType::Type(Type::Object));
    object.description = Some(B::ABOUT.to_owned());
    object.examples = serde_json::from_str(B::EXAMPLE).into_iter().collect();
    for known in fields.known {
        if known.required {
            object.required.push(known.name.to_owned());
        }
        let schema = (known.schema)();
        let schema = if known.nullable { or_null(schema) } else { schema };
        object.properties.insert(known.name.to_owned(), schema);
    }
    if fields.others_matter {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    object.into()
}

fn read_only_schema() -> RefOr<Schema> {
    let mut schema = Object::with_type(SchemaType::AnyValue);
    schema.read_only = Some(true);
    schema.into()
}

fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Type(kind) = object.schema_type {
                object.schema_type = SchemaType::Array(vec![kind, Type::Null]);
            }
            if let Some(values) = &mut object.enum_values {
                values.push(serde_json::Value::Null);
            }
            RefOr::T(object.into())
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = SchemaType::Array(vec![Type::Array, Type::Null]);
            RefOr::T(Schema::Array(array))
        }
        RefOr::T(Schema::OneOf(mut either)) => {
            either.items.push(Object::with_type(SchemaType::Type(Type::Null)).into());
            RefOr::T(Schema::OneOf(either))
        }
        reference @ (RefOr::Ref(_) | RefOr::T(_)) => reference,
    }
}
