//! Rust: paths in code and in `use`, followed to the file that defines what they name.
//!
//! A name that a `mod.rs` hands on (`pub use`) counts for the file which defines it. To declare a child or to hand on
//! its names is no arrow; to use them is. A macro's name counts for the file of its `macro_rules!`.

mod module;

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use super::graph::Graph;
use module::{Mention, Module, Use};

/// The words of a module's path from the root of the library: `backend`, `custom`, `door`.
type Path = Vec<String>;

/// The sources of one library, in `src/`.
pub fn graph(sources: &[Source]) -> Graph {
    let mut house = House::default();
    for (file, text) in sources {
        house.modules.insert(module_path(file), Module::read(file, text));
    }
    house.learn_names();
    let mut graph = Graph::default();
    for (path, module) in &house.modules {
        house.arrows(path, module, &mut graph);
    }
    graph
}

fn module_path(file: &str) -> Path {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Path = inner.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// All modules that are files.
#[derive(Default)]
struct House {
    modules: BTreeMap<Path, Module>,
    /// What each of them has for others: what it defines and what it hands on.
    names: BTreeMap<Path, BTreeSet<String>>,
}

impl House {
    fn arrows(&self, path: &Path, module: &Module, graph: &mut Graph) {
        for used in &module.uses {
            let Some(start) = self.start_of_use(path, module, used) else { continue };
            // What is handed on is used by others.
            if used.public && module.is_folder() && start.starts_with(path) {
                continue;
            }
            // A module that is brought in is used where something of it is named; but for one whose names are all
            // handed on.
            let all_of = || self.modules.get(&start).filter(|_| used.public && used.alias.is_none());
            if let Some(to) = self.follow(&start, &mut Vec::new()).or_else(all_of) {
                graph.arrow(&module.file, &to.file, used.path.last().map_or("", String::as_str));
            }
        }
        for mention in &module.mentions {
            if let Some(to) = self.mentioned(path, module, mention) {
                graph.arrow(&module.file, &to.file, &mention.path.join("::"));
            }
        }
    }

    fn mentioned<'a>(&'a self, path: &Path, module: &'a Module, mention: &Mention) -> Option<&'a Module> {
        if let ([name], true) = (mention.path.as_slice(), mention.is_macro)
            && !module.defined.contains(name)
            && let Some(definer) = self.by_macro_use(path, name)
        {
            return Some(definer);
        }
        let start = anchored(path, mention.inside, &mention.path).or_else(|| {
            let first = mention.path.first()?;
            let stars = module.uses.iter().filter(|used| used.alias.is_none());
            let by_star =
                |star: &Use| self.start_of_use(path, module, star).is_some_and(|start| self.has(&start, first));
            let known = self.is_here(path, module, first) || stars.into_iter().any(by_star);
            known.then(|| [path.as_slice(), &mention.path].concat())
        });
        self.follow(&start?, &mut Vec::new())
    }

    /// What `#[macro_use]` brings is known in the folder of the declaration, and below.
    fn by_macro_use(&self, path: &[String], name: &str) -> Option<&Module> {
        let above = (0..=path.len()).rev().map(|depth| &path[..depth]);
        let folders = above.filter_map(|above| Some((above, self.modules.get(above)?)));
        let children = folders.flat_map(|(above, folder)| folder.macro_uses.iter().map(move |name| child(above, name)));
        children.filter_map(|child| self.modules.get(&child)).find(|child| child.macros.contains(name))
    }

    /// Is this name one that stands for something of ours in a module, stars apart?
    fn is_here(&self, path: &[String], module: &Module, name: &str) -> bool {
        let used = module.uses.iter().any(|used| used.alias.as_deref() == Some(name));
        used || module.defined.contains(name) || self.modules.contains_key(&child(path, name))
    }

    /// The path of a `use` from the root; none for another library's.
    fn start_of_use(&self, path: &[String], module: &Module, used: &Use) -> Option<Path> {
        anchored(path, used.inside, &used.path).or_else(|| {
            let first = used.path.first()?;
            // `use log::Log`, and `use log`: an alias does not explain its own first word.
            let explains_itself = used.alias.as_ref() == Some(first) && !self.modules.contains_key(&child(path, first));
            let known = !explains_itself && self.is_here(path, module, first);
            known.then(|| [path, &used.path].concat())
        })
    }

    fn has(&self, path: &[String], name: &str) -> bool {
        self.names.get(path).is_some_and(|names| names.contains(name))
    }

    fn learn_names(&mut self) {
        for (path, module) in &self.modules {
            let handed_on = module.uses.iter().filter(|used| used.public).filter_map(|used| used.alias.clone());
            self.names.insert(path.clone(), module.defined.iter().cloned().chain(handed_on).collect());
        }
        // Again until nothing is new: a star hands on what another one has brought.
        let mut before = 0;
        loop {
            for (path, module) in &self.modules {
                for star in module.uses.iter().filter(|used| used.public && used.alias.is_none()) {
                    let start = self.start_of_use(path, module, star);
                    let brought = start.and_then(|start| self.names.get(&start)).cloned().unwrap_or_default();
                    self.names.entry(path.clone()).or_default().extend(brought);
                }
            }
            let all = self.names.values().map(BTreeSet::len).sum();
            if all == before {
                return;
            }
            before = all;
        }
    }

    /// The module that defines what the words, from the root, lead to through all that modules bring in and hand on;
    /// none if they lead to a module, or out of the library.
    fn follow(&self, words: &[String], seen: &mut Vec<Path>) -> Option<&Module> {
        if seen.iter().any(|other| other == words) {
            return None;
        }
        seen.push(words.to_vec());
        let mut base: Path = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let inner = child(&base, word);
            if self.modules.contains_key(&inner) {
                base = inner;
                continue;
            }
            let module = self.modules.get(&base)?;
            if module.defined.contains(word) {
                return Some(module);
            }
            for used in &module.uses {
                let start = self.start_of_use(&base, module, used);
                let onward = match (&used.alias, start) {
                    (Some(alias), None) if alias == word => return None,
                    (Some(alias), Some(start)) if alias == word => [start.as_slice(), &words[index + 1..]].concat(),
                    (None, Some(start)) if self.has(&start, word) => [start.as_slice(), &words[index..]].concat(),
                    _ => continue,
                };
                return self.follow(&onward, seen);
            }
            // Made by a macro, for one.
            return Some(module);
        }
        None
    }
}

fn child(path: &[String], name: &str) -> Path {
    let mut child = path.to_vec();
    child.push(name.to_owned());
    child
}

/// The path from the root, if it begins with `crate`, `self` or `super`. `inside`: in so many modules of its own file.
fn anchored(path: &[String], inside: usize, words: &[String]) -> Option<Path> {
    match words.first()?.as_str() {
        // The library's own name is its root too.
        "crate" | "stent" => Some(words[1..].to_vec()),
        "self" => Some([path, &words[1..]].concat()),
        "super" => {
            let ups = words.iter().take_while(|word| *word == "super").count();
            let left = path.len().saturating_sub(ups.saturating_sub(inside));
            Some([&path[..left], &words[ups..]].concat())
        }
        _ => None,
    }
}

fn arrows(sources: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = sources.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    graph(&sources).arrows()
}

#[test]
fn what_is_handed_on_counts_for_the_file_that_defines_it() {
    let found = arrows(&[
        ("src/lib.rs", "pub mod room;"),
        ("src/room/mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::*;"),
        ("src/room/a.rs", "use super::B;\npub struct A;"),
        ("src/room/b.rs", "use crate::room::{self as here};\npub struct B(here::A);"),
        ("src/room/c.rs", "use super::*;\nfn c(_: B) {}"),
    ]);
    assert_eq!(
        found,
        ["src/room/a.rs -> src/room/b.rs", "src/room/b.rs -> src/room/a.rs", "src/room/c.rs -> src/room/b.rs"]
    );
}

#[test]
fn a_folder_has_arrows_to_what_it_uses_itself() {
    let found = arrows(&[
        (
            "src/room/mod.rs",
            "mod a;\nmod b;\nmod c;\npub use a::A;\nuse b::B;\npub struct Mine;\nfn f(_: A) { c::go() }",
        ),
        ("src/room/a.rs", "pub struct A;"),
        ("src/room/b.rs", "pub struct B;\nmod inside { use super::B; }"),
        ("src/room/c.rs", "pub fn go() -> super::Mine { use super::b; b::f() }"),
    ]);
    let mine = ["src/room/c.rs -> src/room/b.rs", "src/room/c.rs -> src/room/mod.rs"];
    let folder =
        ["src/room/mod.rs -> src/room/a.rs", "src/room/mod.rs -> src/room/b.rs", "src/room/mod.rs -> src/room/c.rs"];
    assert_eq!(found, [&mine[..], &folder[..]].concat());
}

#[test]
fn tests_and_other_libraries_have_no_arrows() {
    let found = arrows(&[
        ("src/lib.rs", "mod a;\n#[macro_use]\nmod b;\nmod c;"),
        (
            "src/a.rs",
            "use std::fmt;\n// use crate::c::C;\n#[cfg(test)]\nmod tests {\n    use crate::c::C;\n}\nfn a() { mine!() }",
        ),
        ("src/b.rs", "macro_rules! mine { () => {} }"),
        ("src/c.rs", "pub struct C;\nmacro_rules! println { () => {} }\nfn c() -> &'static str { \"crate::a::A\" }"),
        ("src/d.rs", "fn d() { println!(\"{}\", std::c::C) }"),
    ]);
    assert_eq!(found, ["src/a.rs -> src/b.rs"], "the macro's");
}
