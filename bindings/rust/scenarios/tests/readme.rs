//! The README's first example is the file beside it, and does what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_first_example_is_the_file_and_runs_as_printed() {
    let rust = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(rust.join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```rust,no_run\n").unwrap();
    let file = fs::read_to_string(rust.join("stent/examples/hello.rs")).unwrap();
    assert_eq!(rest.split_once("```").unwrap().0, file);

    // cargo has built it beside this program.
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../examples/hello");
    let folder = tempfile::tempdir().unwrap();
    // Twice: the second run finds the file of the first.
    for _ in 0..2 {
        let ran = Command::new(&program).current_dir(&folder).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "hello, world!\n", "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success());
    }
    assert!(folder.path().join("hello.db").exists());
}
