//! The C programs of tests/c, against the header and the shared library: each alone, and under valgrind.

#[path = "common/authority.rs"]
mod authority;
#[path = "common/c_programs.rs"]
mod c_programs;
#[path = "common/postgres.rs"]
mod postgres;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use c_programs::{compile, finish, has, library, root};

/// A program that hangs is killed after so many seconds; under valgrind everything takes some twenty times as long.
const PLAIN_SECONDS: &str = "300";
const VALGRIND_SECONDS: &str = "600";

macro_rules! programs {
    ($($group:ident: $($name:ident),*;)*) => {
        const PROGRAMS: &[&str] = &[$($(stringify!($name)),*),*];

        mod alone {
            $($(#[test]
            fn $name() {
                super::alone(stringify!($name));
            })*)*
        }

        mod under_valgrind {
            $(#[test]
            fn $group() {
                super::under_valgrind(stringify!($group), &[$(stringify!($name)),*]);
            })*
        }
    };
}

// Valgrind translates the library anew for each process, which costs more than what most programs do: those that need no
// process of their own run in one there, each after the other.
programs! {
    calls: accessors, arguments, batches, callbacks, cleanup, deferred, lease_lost, operations, outcomes, statuses;
    pollers: lifetimes, poison, poller, poller_many, poller_submit, poller_workflow;
    users: silent, task_arguments, two_handles, two_users, workflow, wrong_thread;
    cancelled: cancelled;
    custom: custom;
    dlopen: dlopen;
    fork: fork;
    library: library;
    poller_evict: poller_evict;
}

/// What speaks of every store is run on PostgreSQL too.
mod on_postgres {
    macro_rules! on_postgres {
        ($($name:ident),* $(,)?) => {
            $(#[test]
            fn $name() {
                super::alone_on(stringify!($name), Some(&super::postgres::fresh_url("")));
            })*
        };
    }

    on_postgres! { cleanup, poison, poller, poller_evict, poller_submit, poller_workflow, silent }
}

/// Threads that are cut off and processes that end in the middle leave memory behind, which is no leak; a stack that is
/// measured is not valgrind's; and the suite, which a document's example asks, is not slowed down.
const ALONE: &[&str] = &["at_exit", "documents", "few_threads", "no_memory", "small_stack", "threads"];

#[test]
fn calls_work_to_the_end_of_a_process() {
    alone("at_exit");
}

#[test]
fn the_documents_c_is_as_it_stands_there() {
    alone("documents");
}

#[test]
fn without_room_for_threads_there_are_errors() {
    alone("few_threads");
}

#[test]
fn without_memory_a_process_ends_and_its_store_is_whole() {
    alone("no_memory");
}

#[test]
fn a_call_needs_little_stack() {
    alone("small_stack");
}

#[test]
fn a_call_needs_little_stack_on_postgres() {
    little_stack_on("on_postgres", &postgres::fresh_url(""));
}

#[test]
fn a_call_needs_little_stack_on_postgres_by_tls() {
    let server = authority::with_authority();
    let place = server.folder.display();
    // Looked at by both sides; and each connection serves once, so that calls begin with a new one.
    let more = format!(
        "&sslmode=verify-full&sslrootcert={place}/ca.pem&sslcert={place}/client.pem&sslkey={place}/client.key&max_queries=1"
    );
    little_stack_on("by_tls", &postgres::schema_of(&server.url, &more));
}

fn little_stack_on(way: &str, url: &str) {
    let (program, files) = build("small_stack", way);
    let mut run = Command::new("timeout");
    run.args(["--kill-after=5", PLAIN_SECONDS]).arg(program).arg(files).arg(library()).arg(url);
    // Any call may have to connect.
    finish(run.arg((512 * 1024).to_string()));
}

#[test]
fn threads_of_the_library_are_deaf_and_announced() {
    alone("threads");
}

/// Runs the whole conformance suite, which takes minutes under valgrind; `custom` runs a part of it there.
const WHOLE_SUITE: &str = "custom_check";

#[test]
fn sqlite_behind_a_c_function_passes_the_whole_suite() {
    alone(WHOLE_SUITE);
}

/// It is given a server of its own, and stops it.
const FROZEN: &str = "frozen";

/// Run by tests/tracing.rs, beside a collector.
const TRACING: &str = "tracing";

#[test]
fn everything_ends_in_its_time_when_the_server_is_stopped() {
    let server = postgres::Server::new("frozen", "");
    let main = server.folder.join("data/postmaster.pid");
    // What the store itself would take for an answer that does not come, or to connect.
    let url = postgres::schema_of(&server.url, "&call_timeout=100&connect_timeout=200");
    let stop = format!("p=$(head -n 1 {}); kill -STOP $p $(ps -o pid= --ppid $p)", main.display());
    let (program, files) = build(FROZEN, "alone");
    let mut run = Command::new("timeout");
    run.args(["--kill-after=5", PLAIN_SECONDS]).arg(program).arg(files).arg(library()).arg(&url).arg(stop);
    let ended = run.output();
    server.signal("CONT");
    let ended = ended.unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
}

/// C++'s own ends: statics and thread-locals, with the C++ binding.
#[test]
fn what_outlives_main_in_cpp_calls_the_library() {
    let (place, files) = folders("statics");
    let program = c_programs::compile_cpp(&place, "statics", &root().join("tests/c/statics.cpp"));
    let ended = Command::new("timeout").args(["--kill-after=5", PLAIN_SECONDS]).arg(program).arg(files).output();
    let ended = ended.expect("run it");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.is_empty(), "{}: {said}", ended.status);
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
    let mut run = [PROGRAMS, ALONE, &[WHOLE_SUITE, FROZEN, TRACING]].concat();
    run.sort_unstable();
    assert_eq!(names, run);
}

fn alone(name: &str) {
    alone_on(name, None);
}

fn alone_on(name: &str, url: Option<&str>) {
    let (program, files) = build(name, if url.is_some() { "on_postgres" } else { "alone" });
    let mut run = Command::new("timeout");
    run.args(["--kill-after=5", PLAIN_SECONDS]).arg(program).arg(files).arg(library()).args(url);
    finish(&mut run);
}

fn under_valgrind(group: &str, names: &[&str]) {
    assert!(has("valgrind"), "valgrind is missing; install it (apt: valgrind)");
    let (program, files) = match names {
        [alone] => build(alone, "valgrind"),
        _ => build_together(group, names),
    };
    finish(
        Command::new("timeout")
            .args([
                "--kill-after=5",
                VALGRIND_SECONDS,
                "valgrind",
                "--quiet",
                "--error-exitcode=99",
                "--fair-sched=yes",
            ])
            .args([
                "--leak-check=full",
                "--show-leak-kinds=definite,indirect",
                "--errors-for-leak-kinds=definite,indirect",
            ])
            .arg(program)
            .arg(files)
            .arg(library()),
    );
}

/// The program, and an empty folder for its files.
fn build(name: &str, way: &str) -> (PathBuf, PathBuf) {
    let (place, files) = folders(&format!("{name}/{way}"));
    (compile(&place, name, &[root().join(format!("tests/c/{name}.c"))]), files)
}

/// One program that runs several, each in a folder of its own below that for files.
fn build_together(group: &str, names: &[&str]) -> (PathBuf, PathBuf) {
    let (place, files) = folders(&format!("valgrind/{group}"));
    let mut main = String::from("#include <stdio.h>\n");
    let mut calls = String::new();
    let mut sources = vec![place.join("main.c")];
    for name in names {
        fs::create_dir_all(files.join(name)).expect("make a folder for the program");
        let source = root().join(format!("tests/c/{name}.c"));
        sources.push(place.join(format!("{name}.c")));
        let renamed = format!("#define main main_of_{name}\n#include \"{}\"\n", source.display());
        fs::write(&sources[sources.len() - 1], renamed).expect("write the source");
        main.push_str(&format!("int main_of_{name}(int, char **);\n"));
        calls.push_str(&format!("    snprintf(files, sizeof files, \"%s/{name}\", arguments[1]);\n"));
        calls.push_str(&format!("    if (main_of_{name}(count, own)) return 1;\n"));
    }
    main.push_str("int main(int count, char **arguments) {\n    char files[4096];\n");
    main.push_str("    char *own[] = {arguments[0], files, arguments[2], NULL};\n");
    fs::write(&sources[0], format!("{main}{calls}    return 0;\n}}\n")).expect("write the source");
    (compile(&place, group, &sources), files)
}

/// A place for a program, and an empty folder in it for its files.
fn folders(way: &str) -> (PathBuf, PathBuf) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_api").join(way);
    let files = place.join("files");
    drop(fs::remove_dir_all(&files));
    fs::create_dir_all(&files).expect("make a folder for the program");
    (place, files)
}
