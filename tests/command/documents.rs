//! What docs/command.md shows is what the command says. `UPDATE_GOLDEN=1 cargo test --features command --test command`
//! writes the samples anew; the prose around them is kept.

use std::fs;
use std::path::Path;

use crate::house::{House, Where, on_both};

on_both! { the_document_shows_what_is_said }

const FENCE: &str = "```";

fn the_document_shows_what_is_said(place: Where) {
    let house = House::new(place);
    house.exhibit();
    // The store's own clock has told when the letter was written.
    let letters = house.say(&["--json", "dlq", "list"]).ok().json();
    let died = letters["dead_letters"][0]["moved_at"].as_str().unwrap()[..19].replace('T', " ");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut due = String::new();
    let mut samples = 0;
    let mut lines = written.lines();
    while let Some(line) = lines.next() {
        due += line;
        due += "\n";
        if line != "```console" {
            continue;
        }
        // Its text, up to the closing fence, is written anew.
        for line in lines.by_ref().take_while(|line| *line != FENCE) {
            let Some(words) = line.strip_prefix("$ stent ") else { continue };
            let args: Vec<&str> = words.split(' ').collect();
            let said = house.say(&args);
            due += &format!("$ stent {words}\n{}{}", said.out.replace(&died, "2025-11-28 03:20:06"), said.err);
            samples += 1;
        }
        due += FENCE;
        due += "\n";
    }
    assert!(samples >= 3, "{} has no samples", path.display());
    // One of them writes, and both have to say the same.
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !house.url.starts_with("postgresql") {
        fs::write(&path, &due).unwrap();
        return;
    }
    assert!(written == due, "{} has drifted (UPDATE_GOLDEN=1 writes it anew):\n{due}", path.display());
}

/// Every command and every exit code has its place there.
#[test]
fn the_document_knows_every_command() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command.md")).unwrap();
    let help = crate::house::run(&["--help"]).ok().out;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let missing: Vec<&str> = names.filter(|name| !document.contains(&format!("`stent {name}"))).collect();
    assert!(missing.is_empty(), "docs/command.md does not tell of {missing:?}");
    let codes = help.split("Exit codes:").nth(1).unwrap();
    for code in codes.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(document.contains(&format!("| {code} |")), "docs/command.md does not tell of exit code {code}");
    }
}
