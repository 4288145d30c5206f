//! C and C++: includes.
//!
//! A `.c` file and the header of its name are one. A header that declares what another `.c` file defines has an arrow
//! to it, so that files which call each other can't hide behind a header that they share: each has one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::graph::Graph;
use super::{Source, joined, words};
use crate::source::{code, is_word};

pub fn graph(sources: &[Source]) -> Graph {
    let files: BTreeSet<&str> = sources.iter().map(|(file, _)| file.as_str()).collect();
    let unit = |file: &str| {
        let source = Path::new(file).with_extension("c").to_string_lossy().into_owned();
        if files.contains(source.as_str()) { source } else { file.to_owned() }
    };
    let functions: Vec<(&str, Functions)> =
        sources.iter().map(|(file, text)| (file.as_str(), Functions::of(text))).collect();
    let mut definers: BTreeMap<&str, &str> = BTreeMap::new();
    for (file, functions) in &functions {
        definers.extend(functions.defined.iter().map(|name| (name.as_str(), *file)));
    }
    let mut graph = Graph::default();
    for (file, text) in sources {
        for included in text.lines().filter_map(|line| line.trim().strip_prefix("#include \"")) {
            let name = included.split('"').next().unwrap_or("");
            let target = joined(file, name);
            if files.contains(target.as_str()) {
                graph.arrow(&unit(file), &unit(&target), name);
            }
        }
    }
    for (file, functions) in &functions {
        for name in &functions.declared {
            if let Some(definer) = definers.get(name.as_str()) {
                graph.arrow(&unit(file), &unit(definer), name);
            }
        }
    }
    graph
}

/// Functions of a file that others can call.
#[derive(Default)]
struct Functions {
    declared: BTreeSet<String>,
    defined: BTreeSet<String>,
}

impl Functions {
    fn of(text: &str) -> Self {
        let plain: Vec<String> = code(text).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        let words = words(&plain.join("\n"));
        let mut functions = Self::default();
        let (mut depth, mut name, mut is_static) = (0, None, false);
        for (at, word) in words.iter().enumerate() {
            match word.as_str() {
                "static" if depth == 0 => is_static = true,
                "(" if depth == 0 && at > 0 && words[at - 1].starts_with(is_word) => name = Some(words[at - 1].clone()),
                ";" | "{" if depth == 0 => {
                    let by_name = if word == ";" { &mut functions.declared } else { &mut functions.defined };
                    by_name.extend(name.take().filter(|_| !is_static && words[at - 1] == ")"));
                    is_static = false;
                }
                _ => {}
            }
            match word.as_str() {
                "(" | "{" => depth += 1,
                ")" | "}" => depth -= 1,
                _ => {}
            }
        }
        functions
    }
}

#[test]
fn a_shared_header_hides_no_circle() {
    let sources = [
        ("x/all.h", "int demo(int);\nchar *submit(void);\n#define F(x) g(x)\n"),
        ("x/demo.c", "#include \"all.h\"\nstatic int own(void) { return 1; }\nint demo(int a) { return *submit(); }\n"),
        ("x/work.c", "#include \"all.h\"\nchar *submit(void)\n{\n    demo(1);\n    return 0;\n}\n"),
        ("x/use.c", "#include \"demo.h\"\n"),
        ("x/demo.h", "int own(void);"),
    ];
    let graph = graph(&sources.map(|(file, text)| (file.to_owned(), text.to_owned())));
    let known = ["x/all.h -> x/demo.c", "x/all.h -> x/work.c", "x/demo.c -> x/all.h"];
    assert_eq!(graph.arrows(), [&known[..], &["x/use.c -> x/demo.c", "x/work.c -> x/all.h"]].concat());
    assert_eq!(graph.circles(), [["x/all.h", "x/demo.c", "x/work.c"]]);
}
