//! The dashboard and the alerts in docs/grafana name metrics and labels that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::exposition::{check_rules, read, test_rules};
use crate::house::{House, Where};

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana")).join(name)
}

/// Whatever looks like a metric in an expression.
fn names(text: &str, into: &mut BTreeSet<String>) {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    into.extend(words.filter(|word| word.starts_with("stent_")).map(str::to_owned));
}

fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            visit(name, value);
            walk(value, visit);
        }),
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

/// Every expression of the dashboard, with its title.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file("stent.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    walk(&dashboard, &mut |name, value| {
        if name == "expr" || name == "definition" {
            found.push(value.as_str().unwrap().to_owned());
        }
    });
    found
}

fn named() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    expressions().iter().for_each(|expression| names(expression, &mut all));
    let rules = fs::read_to_string(file("rules.yml")).unwrap();
    rules.lines().filter(|line| !line.trim_start().starts_with(['#', 's'])).for_each(|line| names(line, &mut all));
    assert!(all.len() > 20, "{all:?}");
    all
}

/// Those of a page, a histogram's samples too; of both stores together.
fn known(place: Where) -> BTreeMap<String, BTreeSet<String>> {
    let house = House::new(place);
    let _worker = house.furnish();
    house.end("order");
    let own = house.on(house.executor.stats()).unwrap().to_prometheus();
    let mut all = BTreeMap::new();
    for page in [own, house.say(&["metrics"]).ok().out] {
        for (name, (kind, labels)) in read(&page).families {
            if kind == "histogram" {
                for suffix in ["_bucket", "_sum", "_count"] {
                    all.insert(format!("{name}{suffix}"), labels.clone());
                }
            }
            all.insert(name, labels);
        }
    }
    all
}

#[test]
fn every_metric_that_is_named_exists() {
    let mut known = known(crate::house::sqlite);
    known.extend(self::known(crate::house::postgres));
    let missing: Vec<String> = named().into_iter().filter(|name| !known.contains_key(name)).collect();
    assert!(missing.is_empty(), "docs/grafana names {missing:?}, which are not there; there are {:?}", known.keys());
}

#[test]
fn alerts_fire_where_they_should_and_nowhere_else() {
    let said = check_rules(&file("rules.yml"));
    assert!(said.contains("SUCCESS: 15 rules found"), "{said}");
    test_rules(&file("rules_test.yml"));
}

/// As rules, with what Grafana puts in for its variables.
#[test]
fn prometheus_reads_every_expression_of_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<Value> = expressions()
        .into_iter()
        .filter(|expression| !expression.starts_with("label_values"))
        .enumerate()
        .map(|(number, expression)| {
            let expression = expression.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("panel:{number}"), "expr": expression})
        })
        .collect();
    let path = folder.path().join("rules.yml");
    // JSON is YAML.
    let all = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(&path, all.to_string()).unwrap();
    check_rules(&path);
}
