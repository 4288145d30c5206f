//! What tests of the shared library need: where it is, where the header is, and how programs are run.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The package's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library as it was built for this test run: beside the test's own program.
pub fn library() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let library = program.parent().expect("a program is in a folder").join("libstent.so");
    assert!(library.is_file(), "{} is missing: cargo test builds it with the package", library.display());
    library
}

pub fn include() -> PathBuf {
    root().join("include")
}

/// A folder for what a test makes.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("make a folder for the test");
    folder
}

/// Is there such a program on this machine?
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a command to its end; what it printed, or a panic with all of it.
pub fn run(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|why| panic!("{shown}: {why}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{shown}\nended with {}\n--- stdout\n{out}\n--- stderr\n{err}", output.status);
    out
}
