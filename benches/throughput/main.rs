//! How fast the whole is, on both stores, beside what each store itself can do in the same run.
//!
//!     cargo bench                       everything, at full size
//!     cargo bench -- quick              a tenth of it
//!     cargo bench -- postgres fan_out   one store only, some parts only
//!
//! A plain program: what is measured here are rates and times of a whole system, files, server and threads included, and
//! each run takes seconds. The files are on a disk and not in memory.

mod ceiling;
mod costs;
mod drain;
mod latency;
mod others;
mod pinned;
#[path = "../../tests/common/postgres.rs"]
#[allow(dead_code, reason = "tests ask more of it")]
mod postgres;
mod process;
mod processes;
mod readers;
mod report;
mod stage;
mod stores;
mod waiting;

use std::process::ExitCode;

use report::Report;
use stage::Result;
use stores::{POSTGRES, SQLITE, Store};

const QUICK: &str = "quick";

/// How much is done: full size, or a tenth.
#[derive(Clone, Copy)]
pub struct Size {
    pub quick: bool,
}

impl Size {
    pub fn of(self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }
}

type Part = fn(&mut Report, &Store, Size) -> Result<()>;

/// The parts by name. The ceiling always comes first: the others are told beside it.
const PARTS: [(&str, Part); 13] = [
    ("activities", drain::activities),
    ("executions", drain::executions),
    ("costs", costs::run),
    ("pinned", pinned::run),
    ("fan_out", drain::fan_out),
    ("dispatch", latency::dispatch),
    ("latency", latency::run),
    ("schedules", latency::schedules),
    ("workflows", latency::workflows),
    ("waiting", waiting::run),
    ("readers", readers::run),
    ("processes", processes::run),
    ("others", others::run),
];

fn main() -> ExitCode {
    // Cargo adds --bench; an inner run is this program as a process of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [waiting::INNER, url] => return finish(waiting::inner(url)),
        [processes::INNER, url] => return finish(processes::inner(url)),
        _ => {}
    }
    let parts = PARTS.iter().map(|(name, _)| *name);
    let known: Vec<&str> = [QUICK, SQLITE, POSTGRES].into_iter().chain(parts).collect();
    if let Some(unknown) = words.iter().find(|word| !known.contains(&word.as_str())) {
        eprintln!("'{unknown}' is not known; give some of {}", known.join(" "));
        return ExitCode::from(2);
    }
    finish(run(&words))
}

/// What is named of the stores, and of the parts; of what nothing is named, all.
fn run(words: &[String]) -> Result<()> {
    let named = |name: &str| words.iter().any(|word| word == name);
    let size = Size { quick: named(QUICK) };
    let every_store = !named(SQLITE) && !named(POSTGRES);
    let every_part = !PARTS.iter().any(|(name, _)| named(name));
    report::headline(size);
    let measure = |store: &Store| -> Result<()> {
        let mut report = Report::of(&store.headline()?);
        ceiling::run(&mut report, store, size)?;
        for (_, part) in PARTS.iter().filter(|(name, _)| every_part || named(name)) {
            part(&mut report, store, size)?;
        }
        Ok(())
    };
    if every_store || named(SQLITE) {
        measure(&Store::Sqlite)?;
    }
    if every_store || named(POSTGRES) {
        measure(&Store::postgres())?;
    }
    Ok(())
}

fn finish(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("the benchmark stopped: {why}");
            ExitCode::FAILURE
        }
    }
}
