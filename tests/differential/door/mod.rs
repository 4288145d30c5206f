//! Requests at the operations' door, as JSON text: made from what the library says of itself, valid, broken and extreme.

mod tables;
mod wild;

use std::collections::HashMap;
use std::time::Duration;

use rand::Rng as _;
use serde_json::value::RawValue;
use stent::backend::Request;
use stent::codec::{operations, to_json};
use stent::model::Id;

use crate::generate::{FUNCTIONS, QUEUES, TAGS, WORKERS};
use crate::operation::Operation;
use crate::world::World;
use tables::{DOOR, Field, Kind};

/// What stands in fields of these names: words that meet. In all other texts: [`WORDS`].
const VOCABULARY: &[(&[&str], &[&str])] = &[
    (&["worker_id"], WORKERS),
    (&["queue", "queues"], QUEUES),
    (&["tags", "tag"], TAGS),
    (&["step_name", "root_function", "function"], FUNCTIONS),
    (&["ops"], &["1", "1-3", "2,4"]),
    (&["args_hash"], &["1111111111111111111111111111111111111111111111111111111111111111"]),
    (&["key"], &["plain/first", "first", "n", "here", "given#1"]),
];

const WORDS: &[&str] = &["n", "m", "here", "first", "second", "a", "go", "plain"];

const HOUR: Duration = Duration::from_secs(3600);

/// How a request is drawn.
struct Drawing {
    /// Once in so many fields something wild stands; 0: nowhere.
    wild: u32,
    /// Ids that stand in it already: records may name each other, or themselves.
    ids: Vec<Id>,
}

impl World {
    /// Half of what is done is done at the door; the rest makes what can be found there.
    pub fn next_at_the_door(&mut self) -> Operation {
        if self.one_in(2) {
            return self.next_operation();
        }
        let (name, mut text) = match self.rng.random_range(0..10) {
            0..7 => {
                let operation = &DOOR.operations[self.rng.random_range(0..DOOR.operations.len())];
                let wild = self.pick(&[0, 0, 3, 12]);
                let text = self.members(&operation.request, &mut Drawing { wild, ids: Vec::new() });
                (operation.name.clone(), text)
            }
            7..9 => self.repeated_record(),
            _ => operations::asked(&self.request()),
        };
        if self.one_in(12) {
            text = self.broken(text);
        }
        if self.one_in(100) {
            let other = self.pick(&["", "no_such", "GET_TASK", "get_task ", "日本語"]);
            return Operation::Door(other.to_owned(), Some(text));
        }
        let nothing = self.one_in(100);
        Operation::Door(name, Some(text).filter(|_| !nothing))
    }

    /// A record that there is, with something else in it.
    fn repeated_record(&mut self) -> (String, String) {
        let mut drawing = Drawing { wild: self.pick(&[0, 4, 12]), ids: Vec::new() };
        if self.tasks.is_empty() || self.records.is_empty() {
            return operations::asked(&Request::CountDeadTasks {});
        }
        let name = if self.one_in(3) { "execution" } else { "task" };
        let record = self.changed_record(name, &mut drawing);
        match (name, self.rng.random_range(0..6)) {
            ("execution", _) => ("update_execution".to_owned(), format!("{{\"execution\":{record}}}")),
            (_, 0) => ("create_task".to_owned(), format!("{{\"task\":{record}}}")),
            (_, 1) => ("move_task_to_dead_letter".to_owned(), format!("{{\"task\":{record},\"reason\":\"fuzz\"}}")),
            _ => ("update_task".to_owned(), format!("{{\"task\":{record}}}")),
        }
    }

    /// Its own times are one store's: all of them are drawn anew.
    fn changed_record(&mut self, name: &str, drawing: &mut Drawing) -> String {
        let text = if name == "task" {
            let tasks = self.tasks.clone();
            to_json(&self.pick(&tasks))
        } else {
            let records = self.records.clone();
            to_json(&self.pick(&records))
        };
        // Not looked into: a payload may hold numbers and depths that no `Value` does.
        let record: HashMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
        let fields = DOOR.object(name).fields.iter().map(|field| {
            let is_time = matches!(&field.kind, Kind::Plain(kind) if kind == "time");
            let stays = field.name == "id" && !self.one_in(20);
            let again = !stays && (is_time && said(&record, &field.name) != "null" || self.one_in(6));
            let value = if again { self.field(field, drawing) } else { said(&record, &field.name).to_owned() };
            format!("\"{}\":{value}", field.name)
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }

    /// An object with these fields; seldom one of them is missing, twice there, or unknown.
    fn members(&mut self, fields: &[Field], drawing: &mut Drawing) -> String {
        let mut members = Vec::new();
        for field in fields {
            let (twice, missing) = (self.goes_wrong(drawing), self.goes_wrong(drawing));
            let told = if field.required { !missing } else { self.one_in(2) };
            if told {
                members.push(format!("\"{}\":{}", field.name, self.field(field, drawing)));
            }
            if twice {
                members.push(format!("\"{}\":{}", field.name, self.field(field, drawing)));
            }
        }
        if self.goes_wrong(drawing) {
            members.push("\"no_such\":1".to_owned());
        }
        format!("{{{}}}", members.join(","))
    }

    /// Wrong forms are seldom: what is in them is looked at by nobody.
    fn goes_wrong(&mut self, drawing: &Drawing) -> bool {
        drawing.wild > 0 && self.one_in(drawing.wild * 20)
    }

    fn field(&mut self, field: &Field, drawing: &mut Drawing) -> String {
        // Of several functions with a limit the stores take the first by its name, and the model the best task: the one that
        // workers have is enough.
        // A compensation's id is each store's own, and the model has no such execution: the conformance cases look at them.
        if matches!(field.name.as_str(), "max_concurrent" | "on_cancel") || !field.required && self.one_in(4) {
            return "null".to_owned();
        }
        self.value(&field.kind, &field.name, drawing)
    }

    fn value(&mut self, kind: &Kind, name: &str, drawing: &mut Drawing) -> String {
        let wild = drawing.wild > 0 && self.one_in(drawing.wild);
        match kind {
            Kind::Plain(kind) if wild => self.wild(kind),
            Kind::Word(_) if wild => self.wild("string"),
            Kind::Plain(kind) => self.tame(kind, name, drawing),
            Kind::Word(words) => format!("\"{}\"", self.pick(words)),
            Kind::Named(of) => {
                let known = of == "task" && !self.tasks.is_empty() || of == "execution" && !self.records.is_empty();
                if known && self.one_in(4) {
                    return self.changed_record(of, drawing);
                }
                if of == "held" && !self.held.is_empty() && !self.one_in(4) {
                    let position = self.rng.random_range(0..self.held.len());
                    return to_json(&self.held[position].held());
                }
                let object = DOOR.object(of);
                if object.one_of {
                    let member = &object.fields[self.rng.random_range(0..object.fields.len())];
                    return format!("{{\"{}\":{}}}", member.name, self.value(&member.kind, &member.name, drawing));
                }
                self.members(&object.fields, drawing)
            }
            Kind::ListOf(of) => {
                let count = self.rng.random_range(0..3);
                let all: Vec<String> = (0..count).map(|_| self.value(of, name, drawing)).collect();
                format!("[{}]", all.join(","))
            }
            Kind::MapOf(of) => {
                let count = self.rng.random_range(0..3);
                let one = |world: &mut Self, drawing: &mut Drawing| {
                    format!("{}:{}", world.text_of(name), world.value(of, name, drawing))
                };
                let all: Vec<String> = (0..count).map(|_| one(self, drawing)).collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }

    fn tame(&mut self, kind: &str, name: &str, drawing: &mut Drawing) -> String {
        match kind {
            "string" => self.text_of(name),
            "integer" => self.rng.random_range(-1..4).max(i32::from(name != "priority") - 1).to_string(),
            "number" => to_json(&self.number()),
            "boolean" => self.one_in(2).to_string(),
            // Over at once, or in no run.
            "duration" => self.pick(&["0", "0.000001", "36000", "\"10h\"", "36000.5"]).to_owned(),
            "uuid" => {
                let id = self.id_of(name, drawing);
                drawing.ids.push(id);
                format!("\"{id}\"")
            }
            // The order of what was created must not hang on the stores' clocks.
            "time" if name == "created_at" => to_json(&self.later()),
            // Never just when something else ends: SQLite's clocks differ by a microsecond from call to call.
            "time" if name == "now" => {
                self.made += 1;
                let far = self.pick(&[self.begin.before(6 * HOUR), self.begin.after(6 * HOUR)]);
                to_json(&far.after(Duration::from_secs(self.made.unsigned_abs())))
            }
            "time" => to_json(&self.pick(&[self.begin.before(7 * HOUR), self.begin, self.begin.after(7 * HOUR)])),
            "array" => to_json(&self.payload()),
            "object" => self.pick(&["{}", "{\"k\":1}"]).to_owned(),
            "any" => to_json(&self.payload()),
            other => panic!("what a '{other}' is, nobody has said here"),
        }
    }

    fn text_of(&mut self, name: &str) -> String {
        let words = VOCABULARY.iter().find(|(names, _)| names.contains(&name)).map_or(WORDS, |(_, words)| *words);
        format!("\"{}\"", self.pick(words))
    }

    /// `task_id` names a task, `new_execution_id` nothing yet.
    fn id_of(&mut self, name: &str, drawing: &Drawing) -> Id {
        if !drawing.ids.is_empty() && self.one_in(6) {
            return self.pick(&drawing.ids);
        }
        match name {
            "id" if !self.one_in(8) => self.new_id(),
            name if name.starts_with("new_") && !self.one_in(8) => self.new_id(),
            name if name.contains("task") => self.task(),
            name if name.contains("execution") => self.execution(),
            _ if self.one_in(2) => self.task(),
            _ => self.execution(),
        }
    }
}

fn said<'a>(record: &'a HashMap<String, Box<RawValue>>, name: &str) -> &'a str {
    record.get(name).map_or("null", |value| value.get())
}
