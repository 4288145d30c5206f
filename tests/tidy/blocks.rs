//! Every block of code in the documents is run: by a test that reads the document and takes all of its blocks, or because
//! it stands word for word in a program that tests run. What neither can be has its reason here.

use std::collections::BTreeSet;

use crate::documents::documents;
use crate::source::{check, files, read};

/// How blocks are known to do what they say.
enum How {
    /// By this test, which reads all blocks of this language in the document.
    By(&'static str),
    /// The first one of them; the others by another rule.
    First(&'static str),
    /// It is an excerpt of a file with this ending below one of these folders, which tests compile and run.
    Excerpt(&'static [&'static str], &'static str),
}

use How::{By, Excerpt, First};

const RULES: &[(&str, &str, How)] = &[
    ("README.md", "c", First("tests/readme.rs")),
    ("README.md", "sh", By("scripts/install/test")),
    ("docs/any-language.md", "c", Excerpt(&["examples_ffi"], "c")),
    ("docs/command.md", "console", By("tests/command/documents.rs")),
    ("docs/command.md", "sh", By("tests/command/shell.rs")),
    ("docs/determinism.md", "python", By("bindings/python/tests/test_documents.py")),
    ("docs/fairness.md", "python", Excerpt(&["bindings/python/tests"], "py")),
    ("docs/getting-started.md", "sh", By("tests/command/shell.rs")),
    ("docs/installing.md", "sh", By("scripts/install/test")),
    ("docs/installing.md", "cmake", By("scripts/install/test")),
    ("docs/metrics.md", "sh", By("tests/command/shell.rs")),
    ("docs/metrics.md", "python", Excerpt(&["bindings/python/tests"], "py")),
    ("docs/postgresql.md", "sh", By("tests/postgres/documents.rs")),
    ("docs/postgresql.md", "sql", By("tests/postgres/documents.rs")),
    ("docs/rates.md", "python", Excerpt(&["bindings/python/tests"], "py")),
    ("docs/schedules.md", "c", Excerpt(&["tests/c"], "c")),
    ("docs/schedules.md", "json", By("src/codec/tests/document.rs")),
    ("docs/sql.md", "cpp", Excerpt(&["bindings/cpp/tests"], "cpp")),
    ("docs/sql.md", "go", Excerpt(&["tests/postgres/plain_sql/drivers", "bindings/go/internal/transactions"], "go")),
    ("docs/sql.md", "python", Excerpt(&["tests/postgres/plain_sql/drivers", "bindings/python/tests"], "py")),
    ("docs/sql.md", "rs", Excerpt(&["bindings/rust/scenarios"], "rs")),
    ("docs/sql.md", "sql", By("tests/postgres/plain_sql/page.rs")),
    ("docs/sql.md", "ts", Excerpt(&["bindings/node/test"], "ts")),
    ("docs/sql-sqlite.md", "go", Excerpt(&["tests/sqlite_extension/programs"], "go")),
    ("docs/sql-sqlite.md", "python", Excerpt(&["tests/sqlite_extension/programs"], "py")),
    ("docs/sql-sqlite.md", "sql", By("tests/sqlite_extension/page.rs")),
    ("docs/sql-sqlite.md", "ts", Excerpt(&["bindings/node/test"], "ts")),
    ("docs/tracing.md", "sh", By("tests/tracing.rs")),
    ("docs/ui.md", "json", By("tests/command/ui/printed.rs")),
    ("docs/ui.md", "nginx", By("tests/command/ui/printed.rs")),
    ("docs/ui.md", "sh", By("tests/command/ui/printed.rs")),
    ("docs/writing-a-backend.md", "c", Excerpt(&["tests/c"], "c")),
    ("docs/writing-a-backend.md", "json", By("src/codec/tests/document.rs")),
    ("bindings/cpp/README.md", "cpp", Excerpt(&["bindings/cpp/examples", "bindings/cpp/tests"], "cpp")),
    ("bindings/cpp/README.md", "sh", By("bindings/cpp/tests/readme.cpp")),
    ("bindings/go/README.md", "go", Excerpt(&["bindings/go"], "go")),
    ("bindings/go/README.md", "sh", By("bindings/go/readme_test.go")),
    ("bindings/node/README.md", "js", First("bindings/node/test/readme.test.ts")),
    ("bindings/node/README.md", "js", Excerpt(&["bindings/node/test"], "ts")),
    ("bindings/node/README.md", "sh", First("scripts/pack/test")),
    ("bindings/node/README.md", "ts", Excerpt(&["bindings/node/test"], "ts")),
    ("bindings/python/README.md", "python", First("scripts/pack/test")),
    ("bindings/python/README.md", "python", Excerpt(&["bindings/python/tests", "bindings/python/examples"], "py")),
    ("bindings/python/README.md", "sh", First("scripts/pack/test")),
    ("bindings/rust/README.md", "rs", Excerpt(&["bindings/rust/scenarios", "bindings/rust/stent/examples"], "rs")),
    ("bindings/rust/README.md", "rust,no_run", First("bindings/rust/scenarios/tests/readme.rs")),
    ("bindings/rust/README.md", "sh", First("scripts/pack/test")),
];

/// Blocks that nothing runs, by their first line, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("README.md", "make demo", "`make test` does both, and would do itself"),
    ("CONTRIBUTING.md", "make check", "`make test` does both, and would do itself"),
    ("docs/installing.md", "tar xf", "compiles every crate: `make disttest`, before a release"),
    ("bindings/node/README.md", "make node", "runs the test that would run it"),
    ("bindings/rust/README.md", "make rust", "runs the test that would run it"),
];

struct Block {
    line: usize,
    language: String,
    text: String,
}

/// What is between fences, and what stands four columns in, whose language nobody knows.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let (mut before, mut last_text) = ("", "");
    for (number, line) in text.lines().enumerate() {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            match open.take() {
                Some(block) => found.push(block),
                None => {
                    open = Some(Block { line: number + 1, language: fence.trim().to_owned(), text: String::new() });
                }
            }
        } else if let Some(block) = &mut open {
            block.text += line;
            block.text += "\n";
        } else if line.starts_with("    ") && before.is_empty() && !is_listed(last_text) {
            found.push(Block { line: number + 1, language: String::new(), text: format!("{line}\n") });
        }
        if !line.is_empty() {
            last_text = line;
        }
        before = line;
    }
    found
}

/// What is further in after such a line belongs to a list.
fn is_listed(line: &str) -> bool {
    line.starts_with([' ', '-']) || line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// Lines without their indentation; what is between words is one blank.
fn paragraphs(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut all = vec![String::from("\n")];
    for line in lines {
        match line.as_str() {
            "" => all.push("\n".to_owned()),
            line => *all.last_mut().unwrap() += &format!("{line}\n"),
        }
    }
    all.retain(|paragraph| paragraph != "\n");
    all
}

/// Stands it in one of the files, paragraph by paragraph?
fn is_excerpt(block: &str, sources: &[String]) -> bool {
    let wanted = paragraphs(block);
    sources.iter().any(|source| {
        let lines = source.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let whole = lines.filter(|line| !line.is_empty()).fold("\n".to_owned(), |whole, line| whole + &line + "\n");
        wanted.iter().all(|paragraph| whole.contains(paragraph.as_str()))
    })
}

#[test]
fn every_block_of_code_is_run() {
    let mut problems = Vec::new();
    let (mut rules, mut exceptions) = (BTreeSet::new(), BTreeSet::new());
    let mut all = documents();
    all.extend(["CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned));
    for document in all {
        let mut seen: Vec<String> = Vec::new();
        for block in blocks(&read(&document)) {
            let Block { line, language, text } = block;
            let place = format!("{document}:{line}");
            if language.is_empty() {
                problems.push(format!("{place}: say of the block what language it is; `text` is none"));
            }
            if language.is_empty() || language == "text" {
                continue;
            }
            let is_first = !seen.contains(&language);
            seen.push(language.clone());
            let excused = EXCEPTIONS.iter().position(|(of, begin, _)| *of == document && text.starts_with(begin));
            if let Some(excused) = excused {
                exceptions.insert(excused);
                continue;
            }
            let mut is_run = false;
            for (number, (of, languages, how)) in RULES.iter().enumerate() {
                if *of != document || *languages != language {
                    continue;
                }
                let holds = match how {
                    By(_) => true,
                    First(_) => is_first,
                    Excerpt(folders, ending) => {
                        let sources = folders.iter().flat_map(|folder| files(folder, &[ending])).map(read);
                        is_excerpt(&text, &sources.collect::<Vec<_>>())
                    }
                };
                is_run |= holds;
                if holds {
                    rules.insert(number);
                }
            }
            if !is_run {
                problems.push(format!(
                    "{place}: nothing runs this block ({language}); make it an excerpt of a program that tests run, or \
                     name the test that reads it in tests/tidy/blocks.rs, or there the reason why nothing can"
                ));
            }
        }
    }
    for (number, (document, language, how)) in RULES.iter().enumerate() {
        if !rules.contains(&number) {
            problems.push(format!("tests/tidy/blocks.rs: nothing in {document} ({language}) is run so; drop the rule"));
        }
        if let By(test) | First(test) = how {
            let name = document.rsplit('/').next().unwrap();
            if !read(test).contains(name) {
                problems.push(format!("{test}: does not read {document}, whose blocks it should run"));
            }
        }
    }
    for (number, (document, begin, _)) in EXCEPTIONS.iter().enumerate() {
        if !exceptions.contains(&number) {
            problems.push(format!("tests/tidy/blocks.rs: {document} has no block that begins with {begin:?}; drop it"));
        }
    }
    check(problems);
}

#[test]
fn blocks_are_found_and_excerpts_known() {
    let text = "# A\n\n    make it\n\n- one\n\n    more of it\n\n```sh\nrun\n\n  it\n```\n";
    let found: Vec<(usize, String, String)> =
        blocks(text).into_iter().map(|block| (block.line, block.language, block.text)).collect();
    let due = [(3, "", "    make it\n"), (9, "sh", "run\n\n  it\n")];
    assert_eq!(found, due.map(|(line, language, text)| (line, language.to_owned(), text.to_owned())));
    let sources = ["fn a() {\n    run\n    it now\n}\n\nfn b() {}\n".to_owned()];
    for (block, is_one) in [
        ("run\nit  now\n", true),
        ("it now\n\nrun\n", true),
        ("run\nnow\n", false),
        ("it\n", false),
        ("n b() {}", false),
    ] {
        assert_eq!(is_excerpt(block, &sources), is_one, "{block:?}");
    }
}
