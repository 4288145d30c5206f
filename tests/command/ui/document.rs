//! docs/openapi.json: every address in it answers as its schema says. That it has all of them, a test beside the routes says.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::served::Served;
use crate::house::{House, Where, on_both};

on_both! { every_address_answers_as_its_document_says }

/// What is wrong with a value, by a schema with the words that the document uses.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else { return };
    for word in schema.keys() {
        let known = [
            "$ref",
            "anyOf",
            "type",
            "enum",
            "required",
            "properties",
            "additionalProperties",
            "items",
            "format",
            "description",
        ];
        assert!(known.contains(&word.as_str()), "{place}: this test does not know the word '{word}'");
    }
    if let Some(name) = schema.get("$ref") {
        let name = name.as_str().unwrap().trim_start_matches("#/components/schemas/");
        let named = &document["components"]["schemas"][name];
        assert!(named.is_object(), "{place}: there is no schema {name}");
        return faults(document, named, value, place, found);
    }
    if let Some(choices) = schema.get("anyOf") {
        let fits = |choice: &Value| {
            let mut faults_ = Vec::new();
            faults(document, choice, value, place, &mut faults_);
            faults_.is_empty()
        };
        if !choices.as_array().unwrap().iter().any(fits) {
            found.push(format!("{place}: {value} is none of {choices}"));
        }
        return;
    }
    if let Some(kind) = schema.get("type") {
        let kinds = kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        let is = match value {
            Value::Null => vec!["null"],
            Value::Bool(_) => vec!["boolean"],
            Value::Number(number) if number.is_f64() => vec!["number"],
            Value::Number(_) => vec!["number", "integer"],
            Value::String(_) => vec!["string"],
            Value::Array(_) => vec!["array"],
            Value::Object(_) => vec!["object"],
        };
        if !kinds.iter().any(|kind| is.contains(&kind.as_str().unwrap())) {
            found.push(format!("{place}: {value} is no {kind}"));
        }
    }
    if let Some(words) = schema.get("enum")
        && !words.as_array().unwrap().contains(value)
    {
        found.push(format!("{place}: {value} is none of {words}"));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for (at, one) in values.iter().enumerate() {
            faults(document, items, one, &format!("{place}[{at}]"), found);
        }
    }
    if let Value::Object(fields) = value {
        object(document, schema, fields, place, found);
    }
}

fn object(
    document: &Value,
    schema: &Map<String, Value>,
    fields: &Map<String, Value>,
    place: &str,
    found: &mut Vec<String>,
) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
        found.push(format!("{place}: '{name}' is missing"));
    }
    for (name, value) in fields {
        let place = format!("{place}.{name}");
        match (schema.get("properties").and_then(|all| all.get(name)), schema.get("additionalProperties")) {
            (Some(schema), _) => faults(document, schema, value, &place, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place}: the document does not have it")),
            (None, Some(schema)) => faults(document, schema, value, &place, found),
            (None, None) => {}
        }
    }
}

fn every_address_answers_as_its_document_says(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let _worker = house.furnish();
    house.dispatch("approval");
    house.end("paid_order");
    house.schedule("nightly");
    let served = Served::new(&house, &[]);
    let document = served.get("/api/openapi.json").ok().json();
    let overview = served.get("/api/overview").ok();
    assert_eq!(overview.header("content-type"), Some("application/json"));
    let failed = served.get("/api/executions?state=failed").ok().json()["executions"].clone();
    let id = failed.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    let letters = served.get("/api/dead-letters").ok().json()["dead_letters"].clone();
    let task =
        letters.as_array().unwrap().iter().find(|one| one["task"]["execution_id"] == id).unwrap()["task"]["id"].clone();
    let task = task.as_str().unwrap();
    let body = |path: &str| match path.rsplit('/').next().unwrap() {
        "dispatch" => r#"{"function":"approval","args":[1],"tags":["a"],"delay":"1h"}"#,
        "signal" => r#"{"name":"note","payload":{"a":1}}"#,
        "replay" | "discard" => r#"{"function":"nobody"}"#,
        _ if path.starts_with("/api/schedules/") => r#"{"name":"nightly"}"#,
        "pause" => r#"{"name":"q","reason":"why"}"#,
        "resume" if !path.contains("executions") => r#"{"name":"q"}"#,
        _ => "{}",
    };
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // What ends an execution acts on one that goes on; nothing of it is parked.
            let going = ["signal", "cancel"]
                .iter()
                .any(|act| path.ends_with(act))
                .then(|| house.dispatch("approval").to_string());
            let whose = going.as_ref().unwrap_or(&id);
            let address = path.replace("{id}", whose).replace("{task}", task);
            let answer = match method.as_str() {
                "get" if path.ends_with("/payload") => served.get(&format!("{address}?of=args")),
                "get" => served.get(&address),
                _ => served.post(&address, body(path)),
            };
            let due = if ["{id}/resume", "{id}/hasten"].iter().any(|act| path.ends_with(act)) { 409 } else { 200 };
            assert_eq!(answer.status, due, "{method} {address}: {answer:?}");
            let of = if due == 200 { &operation["responses"]["200"] } else { &operation["responses"]["default"] };
            let (kind, content) = of["content"].as_object().unwrap().iter().next().unwrap();
            assert_eq!(answer.header("content-type"), Some(kind.as_str()), "{address}");
            if kind == "application/json" {
                faults(&document, &content["schema"], &answer.json(), &address, &mut found);
            }
            let wrong = served.get(&address.replace(whose.as_str(), "x"));
            if wrong.status != 200 && wrong.status != 405 {
                faults(
                    &document,
                    &operation["responses"]["default"]["content"]["application/json"]["schema"],
                    &wrong.json(),
                    "error",
                    &mut found,
                );
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let mut none = Vec::new();
    faults(
        &document,
        &document["components"]["schemas"]["Done"],
        &serde_json::json!({"ids": [1], "x": 2}),
        "",
        &mut none,
    );
    assert_eq!(none.len(), 5, "this test sees what is wrong: {none:?}");
}

#[test]
fn a_dispatch_takes_every_option() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let described = document["components"]["schemas"]["Dispatch"]["properties"].as_object().unwrap();
    let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    let options = stent::codec::option_fields("dispatch").into_iter().map(|(name, ..)| name);
    assert_eq!(described, options.chain(["function", "args"]).collect());
}
