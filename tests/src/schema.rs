//! JSON Schema 2020-12, as much of it as our OpenAPI document uses. A keyword that is not understood is a breach too, so
//! that nothing goes unchecked unnoticed.
//!
//! Stricter than the standard in one point: an object that lists its properties must not have others, because a client
//! would never hear of them.

use serde_json::{Map, Value};

/// Says nothing about which values are valid.
const ANNOTATIONS: [&str; 11] = [
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "contentMediaType",
    "propertyNames",
];

/// The schemas of a document.
#[derive(Clone, Copy)]
pub struct Schemas<'a> {
    document: &'a Value,
}

impl<'a> Schemas<'a> {
    /// The schemas of this document.
    pub fn new(document: &'a Value) -> Self {
        Self { document }
    }

    /// What a reference refers to; anything else is itself.
    pub fn resolve(&self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.trim_start_matches('#');
        let target = self.document.pointer(pointer);
        self.resolve(target.unwrap_or_else(|| panic!("the document has no {reference}")))
    }

    /// Why the value is not valid; empty when it is.
    pub fn breaches(&self, schema: &'a Value, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(schema, value, "$", &mut found);
        found
    }

    fn check(&self, schema: &'a Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let Value::Object(keywords) = self.resolve(schema) else {
            if *schema == Value::Bool(false) {
                found.push(format!("{at}: nothing is allowed here"));
            }
            return;
        };
        for (keyword, operand) in keywords {
            self.check_keyword(keyword, operand, value, at, found);
        }
        if let Value::Object(fields) = value {
            self.check_fields(keywords, fields, at, found);
        }
    }

    fn check_keyword(
        &self,
        keyword: &str,
        operand: &'a Value,
        value: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) {
        let mut owes = |kept: bool| {
            if !kept {
                found.push(format!("{at}: {value} breaks {keyword}: {operand}"));
            }
        };
        let number = value.as_f64();
        let length = value.as_str().map(|text| text.chars().count() as f64);
        let items = value.as_array().map(|items| items.len() as f64);
        let fields = value.as_object().map(|fields| fields.len() as f64);
        let bound = operand.as_f64().unwrap_or_default();
        match keyword {
            "type" => owes(has_type(operand, value)),
            "enum" => owes(operand.as_array().is_some_and(|values| values.contains(value))),
            "const" => owes(operand == value),
            "format" => owes(has_format(operand.as_str().unwrap_or_default(), value)),
            "minimum" => owes(number.is_none_or(|number| number >= bound)),
            "maximum" => owes(number.is_none_or(|number| number <= bound)),
            "minLength" => owes(length.is_none_or(|length| length >= bound)),
            "maxLength" => owes(length.is_none_or(|length| length <= bound)),
            "minItems" => owes(items.is_none_or(|items| items >= bound)),
            "maxItems" => owes(items.is_none_or(|items| items <= bound)),
            "minProperties" => owes(fields.is_none_or(|fields| fields >= bound)),
            "maxProperties" => owes(fields.is_none_or(|fields| fields <= bound)),
            "oneOf" => owes(self.valid_among(operand, value) == 1),
            "anyOf" => owes(self.valid_among(operand, value) >= 1),
            "allOf" => {
                for part in operand.as_array().into_iter().flatten() {
                    self.check(part, value, at, found);
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(operand, item, &format!("{at}[{index}]"), found);
                }
            }
            // Patterns describe input; what the server answers was held against them on the way in.
            "pattern" | "uniqueItems" | "properties" | "required" | "additionalProperties" => {}
            other if ANNOTATIONS.contains(&other) || other.starts_with("x-") => {}
            _ => found.push(format!("{at}: the keyword {keyword} is not understood by the tests")),
        }
    }

    fn check_fields(
        &self,
        schema: &'a Map<String, Value>,
        fields: &Map<String, Value>,
        at: &str,
        found: &mut Vec<String>,
    ) {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
            found.push(format!("{at}: {name} is missing"));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match (properties.and_then(|properties| properties.get(name)), schema.get("additionalProperties"))
            {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.check(schema, value, &at, found);
                }
                (None, Some(Value::Bool(true))) => {}
                (None, _) if properties.is_some() => found.push(format!("{at} is not documented")),
                (None, _) => {}
            }
        }
    }

    fn valid_among(&self, schemas: &'a Value, value: &Value) -> usize {
        let schemas = schemas.as_array().into_iter().flatten();
        schemas.filter(|schema| self.breaches(schema, value).is_empty()).count()
    }
}

fn has_type(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}

fn has_format(format: &str, value: &Value) -> bool {
    match (format, value) {
        ("date-time", Value::String(text)) => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn breaches(schema: Value, value: Value) -> usize {
        let document = json!({"components": {"schemas": {"Name": {"type": "string", "maxLength": 3}}}});
        Schemas::new(&document).breaches(&schema, &value).len()
    }

    #[test]
    fn values_are_held_against_types_bounds_and_references() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "name": {"$ref": "#/components/schemas/Name"},
                "tags": {"type": ["array", "null"], "items": {"enum": ["a", "b"]}},
            },
        });
        assert_eq!(breaches(schema.clone(), json!({"id": 1, "name": "abc", "tags": ["a"]})), 0);
        assert_eq!(breaches(schema.clone(), json!({"id": 1, "tags": null})), 0);
        assert_eq!(breaches(schema.clone(), json!({"id": 0, "name": "abcd", "tags": ["c"]})), 3);
        assert_eq!(breaches(schema.clone(), json!({"name": 1})), 2);
        assert_eq!(breaches(schema, json!({"id": 1, "secret": 1})), 1);
    }

    #[test]
    fn exactly_one_alternative_must_fit() {
        let schema = json!({"oneOf": [{"type": "null"}, {"type": "string"}, {"const": "x"}]});
        assert_eq!(breaches(schema.clone(), json!("y")), 0);
        assert_eq!(breaches(schema.clone(), json!("x")), 1);
        assert_eq!(breaches(schema, json!(1)), 1);
    }

    #[test]
    fn a_keyword_that_is_not_understood_is_a_breach() {
        assert_eq!(breaches(json!({"dependentSchemas": {}}), json!({})), 1);
    }
}
