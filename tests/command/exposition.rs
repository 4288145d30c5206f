//! Prometheus's text, read by Prometheus's own tools.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Reads a page by the parser of Prometheus's client for Python, and writes what it has understood.
const PARSER: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([
    {"name": family.name, "type": family.type, "help": family.documentation,
     "samples": [[sample.name, sample.labels, str(sample.value)] for sample in family.samples]}
    for family in text_string_to_metric_families(sys.stdin.read())
]))
"#;

/// What a page says.
#[derive(Debug)]
pub struct Metrics {
    /// The type and the labels of each.
    pub families: BTreeMap<String, (String, BTreeSet<String>)>,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Gives it `input`, and returns what it says; it has to end well.
fn tool(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Prometheus's own reader and its lints find nothing.
fn lint(page: &str) {
    tool(Command::new("promtool").args(["check", "metrics"]), page);
}

/// The file of rules is one that Prometheus loads.
pub fn check_rules(file: &Path) -> String {
    tool(Command::new("promtool").args(["check", "rules"]).arg(file), "")
}

/// What the rules say of these series.
pub fn test_rules(file: &Path) -> String {
    tool(Command::new("promtool").args(["test", "rules"]).arg(file), "")
}

/// The metrics that a page has; a histogram's and a counter's under the names of their samples' heads.
pub fn read(page: &str) -> Metrics {
    lint(page);
    // The system's own Python has the package, whichever comes first in PATH.
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    });
    let python = python.expect("a Python with prometheus_client: scripts/need prometheus");
    let families: Value = serde_json::from_str(&tool(Command::new(python).args(["-c", PARSER]), page)).unwrap();
    let mut metrics = Metrics { families: BTreeMap::new(), samples: Vec::new() };
    for family in families.as_array().unwrap() {
        let kind = family["type"].as_str().unwrap();
        let suffix = if kind == "counter" { "_total" } else { "" };
        let name = format!("{}{suffix}", family["name"].as_str().unwrap());
        assert!(!family["help"].as_str().unwrap().is_empty(), "{name} has no help");
        let mut names = BTreeSet::new();
        for sample in family["samples"].as_array().unwrap() {
            let labels: BTreeMap<String, String> = serde_json::from_value(sample[1].clone()).unwrap();
            names.extend(labels.keys().filter(|label| *label != "le").cloned());
            let value = sample[2].as_str().unwrap().parse().unwrap();
            metrics.samples.push((sample[0].as_str().unwrap().to_owned(), labels, value));
        }
        let twice = metrics.families.insert(name, (kind.to_owned(), names));
        assert!(twice.is_none(), "{family} is there twice");
    }
    metrics
}

impl Metrics {
    /// The one sample of this name with exactly these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: BTreeMap<String, String> =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let mut found = self.samples.iter().filter(|(sample, labels, _)| sample == name && *labels == wanted);
        let value = found.next().map(|(.., value)| *value);
        assert!(found.next().is_none(), "{name} {labels:?} is there twice");
        value
    }

    #[track_caller]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {self:#?}"))
    }
}
