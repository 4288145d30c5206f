//! The door as `stent_describe` tells it: operations, their fields, and what may stand there. Nothing of it is said
//! again here, so that an operation that is new is drawn from tomorrow on.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;
use stent::codec::describe;

/// Answers are hints, or times of schedules, of each store's own; and a store that is closed answers nothing more.
const LEFT_OUT: [&str; 5] = ["wait_for_work", "close", "put_schedules", "schedules", "change_schedule"];

pub struct Table {
    pub operations: Vec<Operation>,
    /// Records and options by their names.
    objects: HashMap<String, Object>,
}

pub struct Operation {
    pub name: String,
    pub request: Vec<Field>,
}

pub struct Object {
    pub fields: Vec<Field>,
    /// It has one of these members, and no more.
    pub one_of: bool,
}

pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
}

#[derive(Clone)]
pub enum Kind {
    /// string, integer, uuid and so on.
    Plain(String),
    Word(Vec<String>),
    Named(String),
    ListOf(Box<Kind>),
    MapOf(Box<Kind>),
}

pub static DOOR: LazyLock<Table> = LazyLock::new(|| Table::read(&serde_json::from_str(describe()).unwrap()));

impl Table {
    fn read(told: &Value) -> Self {
        let plain: Vec<&str> = told["types"].as_array().unwrap().iter().map(|kind| text(&kind["name"])).collect();
        let of = |object: &Value, fields: &str| {
            object[fields].as_array().unwrap().iter().map(|field| Field::read(field, &plain)).collect::<Vec<_>>()
        };
        let all = |of: &'static str| told[of].as_array().unwrap().iter();
        let operations = all("operations").chain(all("engine_operations"));
        let operations = operations
            .map(|one| Operation { name: text(&one["name"]).to_owned(), request: of(one, "request") })
            .filter(|operation| !LEFT_OUT.contains(&operation.name.as_str()))
            .collect();
        let objects = all("options").chain(all("records")).chain([&told["failure"]]);
        let objects = objects.map(|object| {
            let one_of = text(&object["doc"]).contains("one of these members");
            (text(&object["name"]).to_owned(), Object { fields: of(object, "fields"), one_of })
        });
        Self { operations, objects: objects.collect() }
    }

    pub fn object(&self, name: &str) -> &Object {
        self.objects.get(name).unwrap_or_else(|| panic!("'{name}' is not described"))
    }
}

impl Field {
    fn read(told: &Value, plain: &[&str]) -> Self {
        let kind = match told["values"].as_array() {
            Some(words) => Kind::Word(words.iter().map(|word| text(word).to_owned()).collect()),
            None => Kind::read(text(&told["type"]), plain),
        };
        Self { name: text(&told["name"]).to_owned(), kind, required: told["required"] == true }
    }
}

impl Kind {
    fn read(told: &str, plain: &[&str]) -> Self {
        if let Some(of) = told.strip_suffix("[]") {
            return Self::ListOf(Box::new(Self::read(of, plain)));
        }
        if let Some(of) = told.strip_prefix("map<").and_then(|rest| rest.strip_suffix('>')) {
            return Self::MapOf(Box::new(Self::read(of, plain)));
        }
        let told = told.to_owned();
        if plain.contains(&told.as_str()) { Self::Plain(told) } else { Self::Named(told) }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
