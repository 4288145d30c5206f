//! The command `stent`: looks into a store, and acts on it, as any other program with the library does.
//!
//! | module | what it knows | what it must not know |
//! |---|---|---|
//! | `args` | what can be said on the command line; man page and completions are made from it | stores, terminals |
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

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::screen::Screen;
use crate::trouble::Trouble;

fn main() -> ExitCode {
    let args = Args::parse();
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
