//! The README's example compiles as it is printed, and does what it says.

#[path = "common/c_programs.rs"]
mod c_programs;

use std::fs;
use std::process::Command;

use c_programs::{compile, finish, root};

/// The first block of C in the README.
fn example() -> String {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, rest) = text.split_once("```c\n").expect("README.md has a block that begins with ```c");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

#[test]
fn the_example_is_the_file_that_it_names() {
    let file = fs::read_to_string(root().join("examples_c/hello.c")).expect("examples_c/hello.c");
    assert_eq!(example(), file, "the README's C example is not examples_c/hello.c; copy one to the other");
    assert!(file.lines().count() <= 35, "the README's example should be a page of some thirty lines");
}

#[test]
fn the_example_compiles_and_runs_as_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("hello.c");
    fs::write(&source, example()).expect("write the example");
    let program = compile(folder.path(), "hello", &[source]);

    // Twice: the second run finds the file of the first.
    for _ in 0..2 {
        let said = finish(Command::new(&program).current_dir(&folder));
        assert!(said.starts_with("execution ") && said.ends_with("{\"hello\": [\"world\"]}\n"), "{said}");
    }
    assert!(folder.path().join("hello.db").exists());
}
