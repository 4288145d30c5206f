//! The README's example compiles as it is printed, and does what it says.

#[path = "common/c_programs.rs"]
mod c_programs;

use std::fs;

use c_programs::{compile, run};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

fn first_block(text: &str, language: &str) -> String {
    let start = format!("```{language}\n");
    let from = text.find(&start).unwrap_or_else(|| panic!("README.md has no ```{language} block")) + start.len();
    let to = text[from..].find("```").expect("the block ends") + from;
    text[from..to].to_owned()
}

#[test]
fn the_example_is_the_file_that_it_names() {
    let file = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples_c/hello.c")).unwrap();
    assert_eq!(
        first_block(&readme(), "c"),
        file,
        "README.md's C example is not examples_c/hello.c; copy one to the other"
    );
    assert!(file.lines().count() <= 35, "the README's example is meant to be some thirty lines");
}

#[test]
fn the_example_compiles_and_runs_as_printed() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("hello.c");
    fs::write(&source, first_block(&readme(), "c")).unwrap();
    let program = compile(place.path(), "hello", &[source]);

    // Twice: the second run finds the first one's file.
    for _ in 0..2 {
        let said = run(&program, &[], place.path());
        assert!(said.starts_with("execution ") && said.trim_end().ends_with(r#"{"hello": ["world"]}"#), "{said}");
    }
    assert!(place.path().join("hello.db").exists());
}
