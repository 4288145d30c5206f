//! What a Rust file says of names: those that it defines, brings in, and mentions.

use std::collections::BTreeSet;

use super::super::words;
use super::Path;
use crate::source::{code, is_word, product};

pub struct Module {
    pub file: String,
    /// What it defines itself, at its top level.
    pub defined: BTreeSet<String>,
    pub macros: BTreeSet<String>,
    /// Children whose macros are known here and below.
    pub macro_uses: BTreeSet<String>,
    pub uses: Vec<Use>,
    pub mentions: Vec<Mention>,
}

pub struct Use {
    pub path: Path,
    /// As what it is known here; none for `*`.
    pub alias: Option<String>,
    pub public: bool,
    /// Modules written inside of this file that stand around it.
    pub inside: usize,
}

/// A path in code.
pub struct Mention {
    pub path: Path,
    pub is_macro: bool,
    pub inside: usize,
}

impl Module {
    pub fn read(file: &str, text: &str) -> Self {
        let mut reader = Reader { words: words(&product(&code(text))), at: 0, depth: 0, inside: Vec::new() };
        let mut module = Self {
            file: file.to_owned(),
            defined: BTreeSet::new(),
            macros: BTreeSet::new(),
            macro_uses: BTreeSet::new(),
            uses: Vec::new(),
            mentions: Vec::new(),
        };
        reader.read(&mut module);
        module
    }

    pub fn is_folder(&self) -> bool {
        self.file.ends_with("/mod.rs") || self.file.ends_with("/lib.rs")
    }
}

const DEFINES: &[&str] = &["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

struct Reader {
    words: Vec<String>,
    at: usize,
    depth: usize,
    /// At which depths modules inside of the file begin.
    inside: Vec<usize>,
}

impl Reader {
    fn word(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or("", String::as_str)
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |at| &self.words[at])
    }

    fn read(&mut self, module: &mut Module) {
        while self.at < self.words.len() {
            let word = self.word(0).to_owned();
            match word.as_str() {
                "{" => self.depth += 1,
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.inside.last() == Some(&self.depth) {
                        self.inside.pop();
                    }
                }
                "use" if self.word(1) != "<" => {
                    let public = matches!(self.before(), "pub" | ")");
                    self.at += 1;
                    self.tree(Vec::new(), public, &mut module.uses);
                    continue;
                }
                "mod" if self.word(2) == "{" => {
                    if self.depth == 0 {
                        module.defined.insert(self.word(1).to_owned());
                    }
                    self.inside.push(self.depth);
                    self.at += 2;
                    continue;
                }
                "mod" if self.word(2) == ";" => {
                    if self.at > 1 && self.words[self.at - 2] == "macro_use" {
                        module.macro_uses.insert(self.word(1).to_owned());
                    }
                    self.at += 2;
                }
                "macro_rules" if self.word(1) == "!" => {
                    module.macros.insert(self.word(2).to_owned());
                    module.defined.insert(self.word(2).to_owned());
                    self.at += 2;
                }
                define if self.depth == 0 && DEFINES.contains(&define) => {
                    let name = if self.word(1) == "mut" { self.word(2) } else { self.word(1) };
                    if name.starts_with(is_word) && !DEFINES.contains(&name) && name != "unsafe" && name != "extern" {
                        module.defined.insert(name.to_owned());
                        self.at += 1;
                    }
                }
                name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                    self.mention(module);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// A path, or a name by itself that may be one handed on: a type, or what is called.
    fn mention(&mut self, module: &mut Module) {
        let own = !matches!(self.before(), "." | "::" | "fn");
        let mut path = vec![self.word(0).to_owned()];
        while self.word(1) == "::" && self.word(2).starts_with(is_word) {
            path.push(self.word(2).to_owned());
            self.at += 2;
        }
        let is_macro = self.word(1) == "!" && self.word(2) != "=";
        let alone = path.len() == 1;
        let named = path[0].starts_with(char::is_uppercase) || self.word(1) == "(" || is_macro;
        if own && (!alone || named) {
            module.mentions.push(Mention { path, is_macro, inside: self.inside.len() });
        }
        self.at += 1;
    }

    /// What stands after `use`: one path, or a tree of them.
    fn tree(&mut self, prefix: Path, public: bool, uses: &mut Vec<Use>) {
        let inside = self.inside.len();
        let mut path = prefix;
        loop {
            match self.word(0) {
                "{" => {
                    self.at += 1;
                    while self.word(0) != "}" && self.at < self.words.len() {
                        self.tree(path.clone(), public, uses);
                        // A comma, or what is no path.
                        if self.word(0) != "}" {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    uses.push(Use { path, alias: None, public, inside });
                    return;
                }
                "::" => self.at += 1,
                word if word.starts_with(is_word) => {
                    // `a::{self}` is `a`.
                    if word != "self" || path.is_empty() {
                        path.push(word.to_owned());
                    }
                    self.at += 1;
                    if self.word(0) == "as" {
                        uses.push(Use { path, alias: Some(self.word(1).to_owned()), public, inside });
                        self.at += 2;
                        return;
                    }
                    if self.word(0) != "::" {
                        let alias = path.last().cloned();
                        uses.push(Use { path, alias, public, inside });
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}
