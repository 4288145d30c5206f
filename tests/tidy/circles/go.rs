//! Go: a package is one, whatever its files know of each other.

use super::Source;
use super::graph::Graph;

/// The sources of one module, which stands in `folder`.
pub fn graph(folder: &str, module: &str, sources: &[Source]) -> Graph {
    let mut graph = Graph::default();
    for (file, text) in sources {
        let package = file.rsplit_once('/').map_or("", |(package, _)| package);
        let imports = text.split("\nimport ").skip(1).map(|rest| match rest.strip_prefix('(') {
            Some(list) => list.split(')').next().unwrap_or(""),
            None => rest.lines().next().unwrap_or(""),
        });
        for path in imports.flat_map(|list| list.split('"').skip(1).step_by(2)) {
            if path == module {
                graph.arrow(package, folder, path);
            } else if let Some(inner) = path.strip_prefix(&format!("{module}/")) {
                graph.arrow(package, &format!("{folder}/{inner}"), path);
            }
        }
    }
    graph
}

#[test]
fn packages_are_one() {
    let sources = [
        ("g/a.go", "package m\n\nimport \"m/inner\"\n"),
        ("g/b.go", "package m\n"),
        ("g/inner/c.go", "package inner\n\nimport (\n\t\"fmt\"\n\n\t\"m\"\n)\n\nvar m = \"m/other\"\n"),
    ];
    let graph = graph("g", "m", &sources.map(|(file, text)| (file.to_owned(), text.to_owned())));
    assert_eq!(graph.arrows(), ["g -> g/inner", "g/inner -> g"]);
    assert_eq!(graph.circles(), [["g", "g/inner"]]);
}
