//! The command without a store, and the library without the command.

use std::process::Command;

use crate::house::{run, stent};

/// What the command needs beside the library.
const OWN: &[&str] =
    &["clap", "clap_complete", "clap_mangen", "http-body-util", "hyper", "hyper-util", "indicatif", "unicode-width"];

fn tree(features: &[&str]) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let output = command.args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn what_the_command_needs_never_reaches_the_library() {
    let (library, command) = (tree(&[]), tree(&["--features", "command"]));
    for own in OWN {
        assert!(!library.iter().any(|name| name == own), "{own} is a dependency of the library");
        assert!(command.iter().any(|name| name == own), "{own} is no dependency of the command: leave it out here");
    }
}

#[test]
fn a_store_has_to_be_named() {
    let said = run(&["list"]);
    assert!(said.code == 2 && said.err.contains("STENT_DB"), "{said:?}");
    for memory in [":memory:", "sqlite::memory:"] {
        let said = run(&["--db", memory, "list"]);
        assert!(said.code == 2 && said.err.contains("name a file"), "{said:?}");
    }
    let said = run(&["--db", "redis://h", "list"]);
    assert!(said.code == 5 && said.err.contains("no store is named"), "{said:?}");
    let json = run(&["--json", "list"]);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((&error["exit"], error["hint"].as_str().unwrap().contains("STENT_DB")), (&2.into(), true));
}

/// Wherever it comes from, and whatever is wrong with the rest.
#[test]
fn passwords_are_never_shown() {
    let db = "postgresql://u:sesam@127.0.0.1:1/d";
    for said in [
        run(&["--db", db, "list"]),
        run(&["--db", db, "--json", "list"]),
        run(&["--db", "host=127.0.0.1 port=1 user=u password=sesam dbname=d", "list"]),
        run(&["--db", "postgresql://u:sesam@127.0.0.1:1/d?nonsense=1", "list"]),
        stent().env("STENT_DB", db).args(["list"]).output().unwrap().into(),
        stent().env("STENT_DB", db).args(["list", "--help"]).output().unwrap().into(),
        stent()
            .env("PGPASSWORD", "sesam")
            .args(["--db", "postgresql://u@127.0.0.1:1/d", "list"])
            .output()
            .unwrap()
            .into(),
    ] {
        assert!(!said.out.contains("sesam") && !said.err.contains("sesam"), "{said:?}");
        assert!(said.code == 5 || said.out.contains("Usage") || said.err.contains("nonsense"), "{said:?}");
    }
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a store\n".repeat(100)).unwrap();
    for command in ["list", "init", "migrate"] {
        let said = run(&["--db", file.to_str().unwrap(), command]);
        assert_eq!(said.code, 5, "{said:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a store\n".repeat(100));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn every_command_has_a_man_page_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    run(&["man", folder.path().to_str().unwrap()]).ok();
    let page = |name: &str| std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
    assert!(page("stent").contains("Exit codes"));
    for command in ["list", "show", "tasks", "dispatch", "cancel", "wait", "dlq", "dlq-replay", "check", "backup"] {
        let text = page(&format!("stent-{command}"));
        assert!(text.contains(".TH stent-") && text.contains("\\-\\-db"), "{command}: {text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&["completions", shell]).ok().out;
        assert!(said.contains("dispatch") && said.contains("stent"), "{shell}: {said}");
    }
}

/// Who reads the answer may leave before its end.
#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    let mut child = stent().args(["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn help_is_there_as_a_command_too() {
    let help = run(&["help"]).ok().out;
    assert_eq!(help, run(&["--help"]).ok().out);
    assert_eq!(run(&["help", "dlq", "replay"]).ok().out, run(&["dlq", "replay", "--help"]).ok().out);
    assert_eq!(run(&["help", "nonsense"]).code, 2);
}

/// Errors, too: also those of the command line.
#[test]
fn a_command_line_that_makes_no_sense_is_told_as_json() {
    for args in [["--json", "show", "x"], ["--json", "list", "--stat"], ["nonsense", "--json", "a"]] {
        let said = run(&args);
        let error: serde_json::Value = serde_json::from_str(&said.err).unwrap_or_else(|why| panic!("{why}: {said:?}"));
        assert_eq!((said.code, &error["exit"], &error["error"]["status"]), (2, &2.into(), &"INVALID".into()));
        assert_eq!(said.err.lines().count(), 1);
    }
    // What is asked for as a value is none of it.
    assert!(run(&["list", "--", "--json"]).err.starts_with("error: "));
}

#[test]
fn what_is_missing_or_wrong_is_named_with_what_would_do() {
    let said = run(&["dlq", "replay"]);
    for one in ["<TASK|", "--function <NAME>", "--execution <ID>", "--all"] {
        assert!(said.code == 2 && said.err.contains(one), "{one}: {said:?}");
    }
    assert!(run(&["export"]).err.contains("--fenced") && run(&["exported", "done"]).err.contains("--all"));
    let folder = tempfile::tempdir().unwrap();
    let said = run(&["--db", folder.path().to_str().unwrap(), "list"]);
    assert!(said.code == 5 && said.err.contains("is a folder") && !said.err.contains("created"), "{said:?}");
    let said = run(&["--db", "postgresql://u@nohost.invalid/x", "list"]);
    assert!(said.code == 5 && said.err.contains("the host's name leads nowhere"), "{said:?}");
    let none = run(&["list", "-n", "0"]);
    assert!(none.code == 2 && none.err.contains("one at least"), "{none:?}");
}
