//! The bindings agree with bindings/scenarios.md and with each other; `scripts/with-postgres` cleans up after itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "bindings/languages.rs"]
mod languages;

use languages::{LANGUAGES, Language, folder};

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The first column of the first table of scenarios.md.
fn scenarios() -> Vec<String> {
    let text = read(&folder("").join("scenarios.md"));
    let (_, table) = text.split_once("|---|---|---|\n").expect("scenarios.md has a table of three columns");
    table
        .lines()
        .take_while(|line| line.starts_with("| "))
        .map(|line| line.split('`').nth(1).expect("a scenario's name in backquotes").to_owned())
        .collect()
}

/// The text of all test files of a binding.
fn tests_of(language: &Language) -> String {
    let place = folder(language.name).join(language.tests);
    let mut text = String::new();
    for entry in fs::read_dir(&place).unwrap_or_else(|why| panic!("{}: {why}", place.display())) {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(language.ending) {
            text += &read(&path);
        }
    }
    text
}

/// `fan_out` is `FanOut`.
fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn every_folder_is_a_language_of_the_table() {
    let known: BTreeSet<String> = LANGUAGES.iter().map(|language| language.name.to_owned()).collect();
    let there: BTreeSet<String> = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, known, "tests/bindings/languages.rs and the folders of bindings/ differ; add a line for each");
    let readme = read(&folder("").join("README.md"));
    for language in known {
        assert!(readme.contains(&format!("({language}/README.md)")), "bindings/README.md has no link to {language}");
    }
}

#[test]
fn every_scenario_is_a_test_of_every_binding_on_both_stores() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 13, "scenarios.md has few scenarios: {scenarios:?}");
    let mut missing = Vec::new();
    for language in LANGUAGES {
        let tests = tests_of(language);
        if !tests.contains(language.on_both) {
            missing.push(format!("bindings/{}: nothing has `{}`", language.name, language.on_both));
        }
        // This one is tests/cross_language.rs, which takes every language of the table.
        for scenario in scenarios.iter().filter(|name| *name != "cross_language") {
            let wanted = language.test.replace("{name}", scenario).replace("{Name}", &camel(scenario));
            if !tests.contains(&wanted) {
                missing.push(format!("bindings/{}: no test has `{wanted}`", language.name));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_binding_is_tested_by_make_test() {
    let root = folder("..");
    let (makefile, test) = (read(&root.join("Makefile")), read(&root.join("scripts/test")));
    let listed = test.lines().find_map(|line| line.strip_prefix("BINDINGS = [")).expect("scripts/test lists them");
    let listed: BTreeSet<&str> = listed.split('"').skip(1).step_by(2).collect();
    let known: BTreeSet<&str> = LANGUAGES.iter().map(|language| language.name).collect();
    assert_eq!(listed, known, "scripts/test and tests/bindings/languages.rs differ");
    for name in known {
        assert!(makefile.contains(&format!("\n{name}:")), "the Makefile has no target {name}");
    }
}

/// What a file says of a version, after some words.
fn version_after(file: &str, words: &str) -> String {
    let text = read(&folder("..").join(file));
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{file} has no {words}"));
    rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>().trim_end_matches('.').to_owned()
}

/// It comes from Cargo.toml. What can't read it there says the same.
#[test]
fn every_package_has_the_librarys_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, words) in [
        ("bindings/node/package.json", "\"version\": \""),
        ("bindings/node/package-lock.json", "\"name\": \"@stent-dev/stent\",\n  \"version\": \""),
        ("bindings/node/package-lock.json", "\"name\": \"@stent-dev/stent\",\n      \"version\": \""),
        ("bindings/node/README.md", "/stent-dev-stent-"),
        ("bindings/node/README.md", "/stent-dev-stent-linux-x64-gnu-"),
        ("bindings/rust/Cargo.toml", "\nversion = \""),
        ("bindings/rust/stent/Cargo.toml", "stent-sys = { version = \"="),
        ("bindings/rust/Cargo.lock", "name = \"stent\"\nversion = \""),
        ("docs/installing.md", "LIBDIR/libstent.so."),
        ("docs/installing.md", "tar xf stent-"),
    ] {
        assert_eq!(version_after(file, words), version, "{file} after {words}");
    }
}

/// Killed with SIGKILL, it can do nothing any more; the server goes all the same.
#[test]
fn the_server_for_a_command_goes_however_that_ends() {
    let temp = tempfile::tempdir().unwrap();
    let script = folder("../scripts").join("with-postgres");
    let said = temp.path().join("said");
    for (end, code) in [("exit 3", Some(3)), ("kill -9 $PPID", None)] {
        let status = Command::new(&script)
            .args(["sh", "-c", &format!("echo $STENT_TEST_POSTGRES >{}; {end}", said.display())])
            .env("TMPDIR", temp.path())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), code, "after {end}");
        let url = read(&said);
        assert!(url.starts_with("postgresql://stent@127.0.0.1:"), "{url}");
        let begin = Instant::now();
        while fs::read_dir(temp.path()).unwrap().count() > 1 {
            assert!(begin.elapsed() < Duration::from_secs(30), "after {end} the folder is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
