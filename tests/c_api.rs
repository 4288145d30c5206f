//! The C programs of tests/c, against the header and the shared library: each alone, and under valgrind.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{has, include, library, root, run, scratch};

/// A program that hangs is killed after so many seconds; under valgrind everything takes some twenty times as long.
const PLAIN_SECONDS: &str = "120";
const VALGRIND_SECONDS: &str = "600";

macro_rules! programs {
    ($($name:ident),* $(,)?) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];

        $(mod $name {
            #[test]
            fn alone() {
                super::alone(stringify!($name));
            }

            #[test]
            fn under_valgrind() {
                super::under_valgrind(stringify!($name));
            }
        })*
    };
}

programs! {
    arguments,
    callbacks,
    deferred,
    dlopen,
    fork,
    lease_lost,
    library,
    lifetimes,
    operations,
    outcomes,
    statuses,
    two_handles,
    workflow,
    wrong_thread,
}

/// A program that nobody runs proves nothing.
#[test]
fn every_program_is_run() {
    let files = fs::read_dir(root().join("tests/c")).expect("tests/c");
    let paths = files.map(|entry| entry.expect("tests/c").path());
    let programs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let mut names: Vec<String> =
        programs.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    names.sort();
    assert_eq!(names, PROGRAMS);
}

fn alone(name: &str) {
    let (program, folder) = build(name, "alone");
    run(Command::new("timeout").args(["--kill-after=5", PLAIN_SECONDS]).arg(program).arg(folder).arg(library()));
}

fn under_valgrind(name: &str) {
    assert!(has("valgrind"), "valgrind is missing; install it (apt: valgrind)");
    let (program, folder) = build(name, "valgrind");
    run(Command::new("timeout")
        .args(["--kill-after=5", VALGRIND_SECONDS, "valgrind", "--quiet", "--error-exitcode=99"])
        .args([
            "--leak-check=full",
            "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect",
            "--fair-sched=yes",
        ])
        .arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display()))
        .arg(program)
        .arg(folder)
        .arg(library()));
}

/// The program, and an empty folder for its files.
fn build(name: &str, way: &str) -> (PathBuf, PathBuf) {
    let folder = scratch(&format!("c_api/{name}/{way}"));
    let program = folder.join(name);
    let library = library();
    let mut compile = Command::new("cc");
    compile
        .args(["-std=c11", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread", "-I"])
        .arg(include())
        .arg(root().join(format!("tests/c/{name}.c")))
        .arg("-o")
        .arg(&program);
    // This one loads the library itself.
    if name == "dlopen" {
        compile.arg("-ldl");
    } else {
        let beside = library.parent().map(Path::to_owned).expect("the library is in a folder");
        // The library's own name is not that of its file: the programs find it by a link.
        let link = folder.join("libstent.so.0");
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(&library, &link).expect("link to the library");
        compile.arg("-L").arg(beside).arg("-lstent").arg(format!("-Wl,-rpath,{}", folder.display()));
    }
    run(&mut compile);
    let files = folder.join("files");
    drop(fs::remove_dir_all(&files));
    fs::create_dir_all(&files).expect("make a folder for the program");
    (program, files)
}
