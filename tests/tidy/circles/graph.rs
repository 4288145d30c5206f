//! Files, who takes what from whom, and where that goes round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// From a file to those whose names it uses, with the names.
#[derive(Default)]
pub struct Graph(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Graph {
    /// `from` uses `name`, which stands in `to`.
    pub fn arrow(&mut self, from: &str, to: &str, name: &str) {
        if from != to {
            let arrows = self.0.entry(from.to_owned()).or_default();
            arrows.entry(to.to_owned()).or_default().insert(name.to_owned());
        }
    }

    /// Each as `from -> to`.
    pub fn arrows(&self) -> Vec<String> {
        let of = |from: &String, to: &String| format!("{from} -> {to}");
        self.0.iter().flat_map(|(from, arrows)| arrows.keys().map(move |to| of(from, to))).collect()
    }

    /// Files of which each can be reached from each other one. Sorted.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> =
            self.0.keys().map(|file| (file, self.reached_from(file))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (file, from_it) in &reached {
            if from_it.contains(file) {
                let back = |other: &&&String| reached.get(**other).is_some_and(|from| from.contains(file));
                circles.insert(from_it.iter().filter(back).map(|other| (*other).clone()).collect());
            }
        }
        circles.into_iter().collect()
    }

    fn reached_from<'a>(&'a self, file: &'a String) -> BTreeSet<&'a String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(file) = open.pop() {
            for next in self.0.get(file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// The circle in words: its files, and what ties them.
    pub fn tell(&self, circle: &[String]) -> String {
        let mut told = format!(
            "{} files know each other in a circle: {}; move what two sides need into a file that knows neither, or turn \
             an arrow around",
            circle.len(),
            circle.join(", ")
        );
        for (from, arrows) in self.0.iter().filter(|(from, _)| circle.contains(from)) {
            for (to, names) in arrows.iter().filter(|(to, _)| circle.contains(to)) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let _infallible = write!(told, "\n    {from} -> {to}: {}", names.join(", "));
            }
        }
        told
    }
}

#[test]
fn circles_are_found() {
    let mut graph = Graph::default();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "f"), ("f", "e"), ("d", "d")] {
        graph.arrow(from, to, "x");
    }
    assert_eq!(graph.circles(), [["b", "c"], ["e", "f"]]);
    assert!(graph.tell(&["b".into(), "c".into()]).ends_with("\n    b -> c: x\n    c -> b: x"));
}
