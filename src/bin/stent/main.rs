//! The command `stent`: looks into a store, and acts on it, as any other program with the library does.
//!
//! | module | what it knows | what it must not know |
//! |---|---|---|
//! | `args` | what can be said on the command line; man page and completions are made from it | stores, terminals |
//! | `parse` | what the words of the command line mean; pure | what is done with it |
//! | `site` | what can be said of where the page is served | all else |
//! | `place` | how a store is named and opened, and that none is created by mistake | what is done with it |
//! | `trouble` | what went wrong, the exit code for it, and how it is told | where it came from |
//! | `screen` | the terminal: colours, width, pager, questions; or JSON | records |
//! | `words` | times, sizes and payloads as people read them; pure | stores, the terminal |
//! | `marks`, `table` | states and times in colours; columns | stores |
//! | `tree` | an execution's tasks as a tree, which of them are shown | stores, the terminal |
//! | `catalog` | functions and queues, as JSON and the page tell of them; pure | how they were read |
//! | `verdict` | what a store's numbers mean and what is to be done; pure | how they were read |
//! | `serve` | HTTP: a page that is fetched again and again | stores, what is on the page |
//! | `run/` | a file for each group of commands: one asks the store, then says | SQL, the terminal |
//! | `watch/` | the live view | SQL |
//! | `ui/` | the page in the browser | SQL, the terminal |
//! | `papers` | writes man pages and completions | all else |

mod args;
mod catalog;
mod marks;
mod papers;
mod parse;
mod place;
mod run;
mod screen;
mod serve;
mod site;
mod table;
mod tree;
mod trouble;
mod ui;
mod verdict;
mod watch;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::screen::Screen;
use crate::trouble::Trouble;

fn main() -> ExitCode {
    let words = asked(std::env::args_os());
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        // Who asked for JSON gets it, whatever else is wrong; help is for people.
        Err(why) if why.use_stderr() && words.iter().take_while(|word| *word != "--").any(|word| word == "--json") => {
            let trouble = unread(&why.render().to_string());
            Screen::new(true, true).tell(&trouble);
            return ExitCode::from(trouble.code());
        }
        Err(why) => why.exit(),
    };
    let mut screen = Screen::new(args.json, args.no_pager);
    let code = match begin(args, &mut screen).and_then(|code| screen.show().map(|()| code)) {
        Ok(code) => code,
        Err(trouble) => {
            // What was found before it went wrong.
            let _shown = screen.show();
            screen.tell(&trouble);
            trouble.code()
        }
    };
    ExitCode::from(code)
}

/// `stent help show` is `stent show --help`, as with other programs.
fn asked(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<_> = words.collect();
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// What the parser has to say, without its headings.
fn unread(told: &str) -> Trouble {
    let (what, rest) = told.split_once("\n\n").unwrap_or((told, ""));
    let what: Vec<&str> = what.trim_start_matches("error: ").lines().map(str::trim).collect();
    let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
    let trouble = Trouble::usage(what.join(" "));
    match tip.or(usage) {
        Some(hint) => trouble.hint(hint),
        None => trouble,
    }
}

fn begin(args: Args, screen: &mut Screen) -> Result<u8, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|why| Trouble::failed(format!("start: {why}")))?;
    let code = runtime.block_on(run::run(args, screen));
    // What a store has still in its hands is not waited for.
    runtime.shutdown_background();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_asked_for_as_elsewhere() {
        let words = |text: &str| asked(text.split(' ').map(OsString::from));
        assert_eq!(words("stent help"), ["stent", "--help"]);
        assert_eq!(words("stent help dlq show"), ["stent", "dlq", "show", "--help"]);
        assert_eq!(words("stent dispatch help"), ["stent", "dispatch", "help"]);
    }

    #[test]
    fn what_the_parser_says_is_one_sentence_and_what_would_be_right() {
        let told = "error: unexpected argument '--stat' found\n\n  tip: a similar argument exists: '--state'\n\nUsage: stent list\n";
        let trouble = unread(told);
        assert_eq!(trouble.message(), "unexpected argument '--stat' found");
        assert_eq!(trouble.what_would_be_right(), Some("a similar argument exists: '--state'"));
        let told = "error: the following required arguments were not provided:\n  <EXECUTION>\n\nUsage: stent show <EXECUTION>\n";
        let trouble = unread(told);
        assert_eq!(trouble.message(), "the following required arguments were not provided: <EXECUTION>");
        assert_eq!((trouble.what_would_be_right(), trouble.code()), (Some("stent show <EXECUTION>"), 2));
    }
}
