//! The lines for a shell in docs/command.md, docs/getting-started.md and docs/metrics.md, run as they stand there.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::house::{House, Said, run};

/// What `kill` sends.
const SIGTERM: i32 = 15;

/// The blocks of a page in this language.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A shell in a folder that knows the command, and nothing that the tests know.
pub fn shell(folder: &Path, lines: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_stent")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", lines]).current_dir(folder).stdin(Stdio::null());
    shell.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
    for name in ["STENT_DB", "STENT_UI_TOKEN", "NO_COLOR", "PAGER", "PGPASSWORD"] {
        shell.env_remove(name);
    }
    shell
}

/// A line whose command goes on until it is ended: it says where it serves.
fn serves(folder: &Path, line: &str) {
    let mut child =
        shell(folder, &format!("exec {line}")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let mut told = String::new();
    let listens = said.contains("http://") || said.contains("unix:/");
    if listens {
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
    } else {
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    }
    let ended = child.wait().unwrap();
    let is_well = ended.success() || ended.signal() == Some(SIGTERM);
    assert!(listens && is_well, "{line}: {ended}: {said}{told}");
}

/// Runs a block. What serves is at a port of its own: two tests may run at once, and whoever runs them may serve something.
pub fn works(folder: &Path, block: &str) -> String {
    let is_served = |line: &str| line.contains(" ui") || line.contains("--listen");
    if !block.lines().any(is_served) {
        let said = Said::from(shell(folder, block).output().unwrap());
        assert_eq!(said.code, 0, "{block}{said:?}");
        return said.out;
    }
    for line in block.lines() {
        let line = line.split("  #").next().unwrap().trim_end();
        match (is_served(line), line.split_once("--listen 0.0.0.0:")) {
            (false, _) => drop(works(folder, line)),
            (true, None) if line.contains("--listen unix:") => serves(folder, line),
            (true, Some((before, after))) => {
                serves(folder, &format!("{before}--listen 0.0.0.0:0 {}", after.split_once(' ').unwrap_or(("", "")).1));
            }
            (true, None) => serves(folder, &format!("{} --listen 127.0.0.1:0", line.trim_end_matches(" --listen"))),
        }
    }
    String::new()
}

fn here() -> (String, Option<tempfile::TempDir>) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("workflow.db").to_str().unwrap().to_owned(), Some(folder))
}

/// A page's blocks, on `workflow.db` and on a database.
fn the_page_works(page: &str, replaced: &[(&str, String)]) -> (House, Vec<String>) {
    let house = House::new(here);
    house.exhibit();
    let _worker = house.furnish();
    let folder = Path::new(&house.url).parent().unwrap().to_owned();
    let database = crate::postgres::fresh_url("");
    run(&["--db", &database, "init"]).ok();
    let quoted = format!("'{database}'");
    let mut said = Vec::new();
    for mut block in blocks(page, "sh") {
        for (printed, real) in replaced {
            block = block.replace(printed, real);
        }
        for printed in ["postgresql://stent@db/app", "postgresql://… "] {
            block = block.replace(printed, &format!("{quoted} "));
        }
        said.push(works(&folder, &block));
    }
    (house, said)
}

#[test]
fn the_page_of_the_command_works() {
    let (house, said) = the_page_works("docs/command.md", &[]);
    let [first, moved] = said.try_into().unwrap();
    assert!(first.contains("CardDeclined: no funds") && first.contains("\"shipped\""), "{first}");
    assert!(moved.contains("imported") || moved.contains("1"), "{moved}");
    let left = house.say(&["--json", "exported", "list"]).ok().json();
    assert_eq!(left["exported"].as_array().unwrap().len(), 0, "{left}");
}

#[test]
fn the_page_of_the_first_five_minutes_works() {
    let other = House::new(here);
    let _worker = other.furnish();
    let (id, _) = other.end("order");
    let hello = Path::new(&other.url).with_file_name("hello.db");
    other.say(&["backup", hello.to_str().unwrap()]).ok();
    let at = format!("--db {}", hello.display());
    let (_, said) =
        the_page_works("docs/getting-started.md", &[("--db hello.db", at), ("show ID", format!("show {id}"))]);
    assert!(!said.is_empty());
}

#[test]
fn the_page_of_metrics_works() {
    let (_, said) = the_page_works("docs/metrics.md", &[]);
    assert_eq!(said.len(), 1);
}
