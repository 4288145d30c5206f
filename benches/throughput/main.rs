//! How fast the whole is, beside what the store itself can do in the same run.
//!
//!     cargo bench                       everything, at full size
//!     cargo bench -- quick              a tenth of it
//!     cargo bench -- fan_out idle       some parts only
//!
//! A plain program: what is measured here are rates and times of a whole system, files and threads included, and each
//! run takes seconds. The files lie in the target folder, so that they are on a disk and not in memory.

mod ceiling;
mod drain;
mod latency;
mod process;
mod report;
mod stage;
mod waiting;

use std::process::ExitCode;

use report::Report;
use stage::Result;

/// How much is done: full size, or a tenth.
#[derive(Clone, Copy)]
pub struct Size {
    quick: bool,
}

impl Size {
    pub fn of(self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }
}

type Part = fn(&mut Report, Size) -> Result<()>;

/// The parts by name. `ceiling` always runs first: the others are told beside it.
const PARTS: [(&str, Part); 6] = [
    ("activities", drain::activities),
    ("executions", drain::executions),
    ("fan_out", drain::fan_out),
    ("latency", latency::run),
    ("workflows", latency::workflows),
    ("waiting", waiting::run),
];

fn main() -> ExitCode {
    // Cargo adds --bench; an inner run is this program as a process of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [inner, database] = words.as_slice()
        && inner == waiting::INNER
    {
        return finish(waiting::inner(database));
    }
    let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = words.iter().find(|word| *word != "quick" && !known.contains(&word.as_str())) {
        eprintln!("'{unknown}' is not known; give quick, or some of {}", known.join(" "));
        return ExitCode::from(2);
    }
    let size = Size { quick: words.iter().any(|word| word == "quick") };
    let named: Vec<&String> = words.iter().filter(|word| *word != "quick").collect();
    let chosen = |name: &str| named.is_empty() || named.iter().any(|word| *word == name);
    finish(run(size, &chosen))
}

fn run(size: Size, chosen: &dyn Fn(&str) -> bool) -> Result<()> {
    let mut report = Report::start(size.quick);
    ceiling::run(&mut report, size)?;
    for (_, part) in PARTS.iter().filter(|(name, _)| chosen(name)) {
        part(&mut report, size)?;
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
