//! Python: imports, wherever they stand, those for the type checker too.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::{Source, joined};

pub fn graph(sources: &[Source]) -> Graph {
    let files: BTreeSet<&str> = sources.iter().map(|(file, _)| file.as_str()).collect();
    let mut graph = Graph::default();
    for (file, text) in sources {
        for (module, name) in imports(&without_texts(text)) {
            if let Some(target) = target(&files, file, &module, &name) {
                graph.arrow(file, target, &name);
            }
        }
    }
    graph
}

/// Modules and what is taken from them; of `import a.b` nothing.
fn imports(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let statement = line.trim();
        if let Some(modules) = statement.strip_prefix("import ") {
            let first = |module: &str| module.split_whitespace().next().unwrap_or("").to_owned();
            found.extend(modules.split(',').map(|module| (first(module), String::new())));
        } else if let Some((module, names)) =
            statement.strip_prefix("from ").and_then(|from| from.split_once(" import "))
        {
            let (mut names, is_open) = (names.to_owned(), names.starts_with('(') && !names.contains(')'));
            if is_open {
                let (more, after) = rest.split_once(')').unwrap_or((rest, ""));
                names.push_str(more);
                rest = after;
            }
            let names = names.replace(['(', ')', '\n'], " ");
            let each = names.split(',').filter_map(|name| name.split_whitespace().next());
            found.extend(each.map(|name| (module.to_owned(), name.to_owned())));
        }
    }
    found
}

/// The file of a module; of `from package import name` that of the module `name`, if there is one.
fn target<'a>(files: &BTreeSet<&'a str>, file: &str, module: &str, name: &str) -> Option<&'a str> {
    let dots = module.chars().take_while(|c| *c == '.').count();
    let inner = module[dots..].replace('.', "/");
    let bases = if dots > 0 {
        vec![joined(file, &format!("{}{inner}", "../".repeat(dots - 1)))]
    } else {
        // From the nearest folder upwards: Python looks in some of them, and we do not know in which.
        let folders = file.match_indices('/').map(|(at, _)| &file[..=at]).collect::<Vec<_>>();
        folders.iter().rev().flat_map(|folder| [format!("{folder}{inner}"), format!("{folder}src/{inner}")]).collect()
    };
    let found = |path: String| files.get(path.as_str()).copied();
    bases.iter().map(|base| base.trim_end_matches('/')).find_map(|base| {
        let inner = (!name.is_empty()).then(|| format!("{base}/{name}"));
        let inner =
            inner.and_then(|inner| found(format!("{inner}.py")).or_else(|| found(format!("{inner}/__init__.py"))));
        inner.or_else(|| found(format!("{base}.py"))).or_else(|| found(format!("{base}/__init__.py")))
    })
}

/// Python without comments and without what is inside of its strings.
fn without_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
        let Some(quote) = quote else {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
            continue;
        };
        let mut end = quote.len();
        while end < rest.len() && !rest[end..].starts_with(quote) {
            end += if rest[end..].starts_with('\\') { 1 } else { 0 };
            end += rest[end..].chars().next().map_or(0, char::len_utf8);
        }
        rest = rest.get(end + quote.len()..).unwrap_or("");
        out.push_str("\"\"");
    }
    out + rest + "\n"
}

#[test]
fn imports_for_the_type_checker_are_arrows() {
    let sources = [
        ("p/src/k/__init__.py", "\"\"\"As in\n\n    from k import b\n\"\"\"\nfrom .a import A\n"),
        (
            "p/src/k/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import (\n        B,  # a type\n        C,\n    )\n",
        ),
        ("p/src/k/b.py", "from . import a\n'it\\'s'  # from .sub import D\n"),
        ("p/src/k/sub/__init__.py", "from .. import b\nfrom ..a import A\n"),
        ("p/examples/e.py", "import json, k.sub\nfrom k import b, missing\n"),
    ];
    let graph = graph(&sources.map(|(file, text)| (file.to_owned(), text.to_owned())));
    let arrows = [
        "p/examples/e.py -> p/src/k/__init__.py",
        "p/examples/e.py -> p/src/k/b.py",
        "p/examples/e.py -> p/src/k/sub/__init__.py",
        "p/src/k/__init__.py -> p/src/k/a.py",
        "p/src/k/a.py -> p/src/k/b.py",
        "p/src/k/b.py -> p/src/k/a.py",
        "p/src/k/sub/__init__.py -> p/src/k/a.py",
        "p/src/k/sub/__init__.py -> p/src/k/b.py",
    ];
    assert_eq!(graph.arrows(), arrows);
    assert_eq!(graph.circles(), [["p/src/k/a.py", "p/src/k/b.py"]]);
}
