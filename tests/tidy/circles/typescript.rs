//! TypeScript: what stands after `from`, types too, and calls of `import` and `require`.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::{Source, joined};

pub fn graph(sources: &[Source]) -> Graph {
    let files: BTreeSet<&str> = sources.iter().map(|(file, _)| file.as_str()).collect();
    let mut graph = Graph::default();
    for (file, text) in sources {
        for quote in ['"', '\''] {
            for (at, _) in text.match_indices(&format!("{quote}.")) {
                let before = text[..at].trim_end();
                let asks = ["from", "import", "import(", "require("].iter().any(|word| before.ends_with(word));
                let Some(path) = text[at + 1..].split(quote).next().filter(|_| asks) else { continue };
                let bare = joined(file, path.trim_end_matches(".js"));
                let target = [format!("{bare}.ts"), format!("{bare}/index.ts")];
                if let Some(target) = target.iter().find(|target| files.contains(target.as_str())) {
                    graph.arrow(file, target, names(before));
                }
            }
        }
    }
    graph
}

/// Of `import { a, type B } from`: what stands between the braces, else the whole.
fn names(before: &str) -> &str {
    let statement = before.rfind("import").max(before.rfind("export")).map_or("", |at| &before[at..]);
    let braces = statement.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    braces.map_or("*", |(names, _)| names.trim())
}

#[test]
fn imports_of_types_are_arrows() {
    let sources = [
        ("n/a.ts", "import type { B } from \"./b\";\nimport fs from \"node:fs\";\n"),
        ("n/b.ts", "export {\n  c,\n} from './c.js';\nconst a = await import(\"./a\");\nsay(\"./c\");\n"),
        ("n/c.ts", "import { all } from \".\";\n"),
        ("n/index.ts", ""),
    ];
    let graph = graph(&sources.map(|(file, text)| (file.to_owned(), text.to_owned())));
    let arrows = ["n/a.ts -> n/b.ts", "n/b.ts -> n/a.ts", "n/b.ts -> n/c.ts", "n/c.ts -> n/index.ts"];
    assert_eq!(graph.arrows(), arrows);
    assert_eq!(graph.circles(), [["n/a.ts", "n/b.ts"]]);
    assert!(graph.tell(&graph.circles()[0]).contains("n/a.ts -> n/b.ts: B\n"));
}
