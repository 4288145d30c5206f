//! Several worker processes on one store: in sum they are never to do less than one of them alone.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use stent::model::ExecutionState;

use crate::Size;
use crate::drain::SLOTS;
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage, noop};
use crate::stores::Store;

/// The word by which this program runs itself.
pub const INNER: &str = "--worker";

const OPEN: &str = "open\n";

pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let count = size.of(100_000);
    let mut alone = None;
    for processes in [1, 2, 4] {
        let rate = drain(store, count, processes)?;
        let alone = *alone.get_or_insert(rate);
        report.line(
            &format!("drain {} executions by {processes} worker processes", thousands(count as f64)),
            &format!("{} /s", thousands(rate)),
            &format!("{:.2} x the rate of one", rate / alone),
        );
    }
    Ok(())
}

fn drain(store: &Store, count: usize, processes: usize) -> Result<f64> {
    let place = store.place()?;
    let stage = Stage::at(&place.url)?;
    let executions = stage.dispatch_many("noop", "[1]", count)?;
    let mut workers = (0..processes).map(|_| Worker::open(&place.url)).collect::<Result<Vec<_>>>()?;
    let begin = Instant::now();
    for worker in &mut workers {
        writeln!(worker.orders)?;
    }
    // Whoever has the last ones has taken all others before: these are waited for, and the others only counted.
    stage.wait_all(&executions[count.saturating_sub(2 * processes * SLOTS)..])?;
    while stage.expect_executions(ExecutionState::Completed, count).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = begin.elapsed();
    for worker in workers {
        worker.end()?;
    }
    stage.runtime.block_on(place.clear())?;
    Ok(count as f64 / took.as_secs_f64())
}

/// A process with a worker: a line begins it, and the end of its input ends it.
struct Worker {
    process: Child,
    orders: ChildStdin,
}

impl Worker {
    /// It has the store open, and waits.
    fn open(url: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args([INNER, url]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(orders), Some(said)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a worker without pipes".into());
        };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        if line != OPEN { Err(format!("a worker said {line:?}").into()) } else { Ok(Self { process, orders }) }
    }

    fn end(mut self) -> Result<()> {
        drop(self.orders);
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a worker ended with {status}").into()) }
    }
}

/// The process of [`Worker`].
pub fn inner(url: &str) -> Result<()> {
    let stage = Stage::at(url)?;
    stage.register("noop", noop)?;
    print!("{OPEN}");
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    let worker = stage.worker(SLOTS)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    stage.stop(&worker)
}
