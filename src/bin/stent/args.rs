//! What can be said on the command line. Man page, completions and `--help` are made from it.

mod moves;
mod schedules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand};
use clap_complete::Shell;
use stent::model::{ExecutionState, Existing, Id, KeyWhile, TaskState, Timestamp};

use crate::parse;

pub use crate::site::{Listen, Ui};
pub use moves::{OnTheWay, Settle};
pub use schedules::{Put, Schedules};

/// Look into a Stent store, and act on it.
///
/// A store is a SQLite file or a PostgreSQL database in which programs with the library run durable executions. Looking
/// changes nothing, and no store is created but by `init`.
#[derive(Debug, Parser)]
#[command(name = "stent", version, max_term_width = 100, after_long_help = EXITS, disable_help_subcommand = true)]
pub struct Args {
    /// The store: a file, or postgresql://user@host/database. Passwords come from PGPASSWORD or ~/.pgpass
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "STENT_DB",
        hide_env_values = true,
        value_name = "STORE"
    )]
    pub db: Option<String>,
    /// Answer with one line of JSON; errors, too
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Never show long answers by $PAGER
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub no_pager: bool,
    #[command(subcommand)]
    pub command: Command,
}

const EXITS: &str = "\
Exit codes:
   0  done
   1  it failed, for a reason that the message says
   2  the command line makes no sense
   3  there is no such execution, task or dead letter
   4  its state does not allow it
   5  there is no store of that name, or it can't be opened
   6  it asked first, and nobody said yes
  10  wait: the execution has failed
  11  wait: it ran out of its own time
  12  wait: it was cancelled
  13  wait: it is still going after --timeout
  20  check: something is to be done";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List executions, newest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one execution: its tasks as a tree, counters, state, signals, payloads
    Show(Show),
    /// List tasks, of one execution or of all
    Tasks(Tasks),
    /// Start an execution, and print its id
    Dispatch(Box<Dispatch>),
    /// Send a signal to an execution
    Signal(Signal),
    /// Cancel an execution with all that it called
    Cancel(Cancel),
    /// Wait until an execution has ended; the exit code tells how
    Wait(Wait),
    /// Run an execution's failed path again, as a new execution; of one that goes on, what waits for a retry begins now
    Retry(One),
    /// Let a parked task go on, by its own id or its execution's
    Resume(One),
    /// List the functions that workers have declared; pause them and let them go on
    Functions(OrHold),
    /// List the workers, and what they hold
    Workers,
    /// List the queues: what is ready in each, and who serves it; pause them and let them go on
    Queues(OrHold),
    /// Count executions and tasks by their states; on a large store it takes a while
    Stats,
    /// Print the store's metrics for Prometheus, or serve them
    Metrics(Metrics),
    /// Look at dead letters, replay or discard them
    #[command(subcommand)]
    Dlq(Dlq),
    /// Functions that are started at times: list, put, pause, trigger
    #[command(subcommand)]
    Schedules(Schedules),
    /// Make a new store
    Init,
    /// Bring an older store's schema up to date
    Migrate(Migrate),
    /// Delete executions that ended long ago
    Cleanup(Cleanup),
    /// Copy a store to a new file, as it is at one moment, while workers use it (SQLite)
    Backup(Backup),
    /// Watch the store live: rates, latencies, queues, what runs, what fails
    Watch(Watch),
    /// Serve a page on which people look at executions, workers and queues, and act on them
    Ui(Ui),
    /// Measure what the store can do here: a short run in a queue of its own, cleaned up after itself
    Bench(Bench),
    /// Take executions out of the store, each as a line of JSON, for another store
    Export(Export),
    /// Take in executions that were exported from another store
    Import(Import),
    /// Executions that were exported and are fenced: list them, take them back, or let them go
    #[command(subcommand)]
    Exported(OnTheWay),
    /// Look whether the store is well, and say what to do
    Check,
    /// Print the completions for a shell
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man { folder: PathBuf },
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[arg(long, value_parser = parse::state::<ExecutionState>, help = parse::states("Only executions in this state", ExecutionState::WORDS))]
    pub state: Option<ExecutionState>,
    /// Only those of this function
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Only those in this queue
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Only those with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Only those created after this: a date as 2026-01-31T08:00:00Z, or an age as 2h30m
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    pub since: Option<Timestamp>,
    /// Only those created before this
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    pub until: Option<Timestamp>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT", value_parser = parse::count)]
    pub limit: u32,
    /// The next page: what the page before says
    #[arg(long, value_name = "PLACE")]
    pub after: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    #[arg(value_parser = parse::id, value_name = "EXECUTION")]
    pub id: Id,
    /// Every task, however many there are
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, clap::Args)]
pub struct One {
    #[arg(value_parser = parse::id)]
    pub id: Id,
}

#[derive(Debug, clap::Args)]
pub struct Tasks {
    /// Only those of this execution
    #[arg(value_parser = parse::id, value_name = "EXECUTION")]
    pub execution: Option<Id>,
    #[arg(long, value_parser = parse::state::<TaskState>, help = parse::states("Only tasks in this state", TaskState::WORDS))]
    pub state: Option<TaskState>,
    /// Only those of this function
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Only those in this queue
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT", value_parser = parse::count)]
    pub limit: u32,
    /// The next page: the last task of the page before
    #[arg(long, value_parser = parse::id, value_name = "TASK")]
    pub after: Option<Id>,
}

#[derive(Debug, clap::Args)]
pub struct Dispatch {
    pub function: String,
    /// The arguments, as a JSON array; - reads them from standard input
    #[arg(default_value = "[]", value_name = "ARGS")]
    pub args: String,
    /// Named arguments, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub kwargs: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// May be given more than once
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// How long it waits to make up for one step of priority, as 10m
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub priority_ageing: Option<Duration>,
    /// Whose it is: a queue is shared out among these
    #[arg(long, value_name = "KEY")]
    pub fairness_key: Option<String>,
    /// How much its key gets, beside others' 1
    #[arg(long, value_name = "NUMBER", requires = "fairness_key")]
    pub fairness_weight: Option<f64>,
    /// What counts together under the function's max_concurrent_per_key and rate_per_key
    #[arg(long, value_name = "KEY")]
    pub concurrency_key: Option<String>,
    /// Not before this has gone by, as 10m
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub delay: Option<Duration>,
    /// It is ended when it still goes on after this
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub expiry: Option<Duration>,
    /// The execution's own id, a UUID
    #[arg(long, value_parser = parse::id, value_name = "ID")]
    pub id: Option<Id>,
    /// Of several dispatches of a function with one key the first one counts
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Start nothing while an execution of the function with this key is pending or running
    #[arg(long, value_name = "KEY")]
    pub unique_key: Option<String>,
    /// Start nothing if the unique key was taken less than this ago, whatever has become of it, as 10m
    #[arg(long, value_name = "TIME", value_parser = parse::duration, requires = "unique_key")]
    pub unique_for: Option<Duration>,
    /// Start nothing while what has the key is unfinished, or pending: until a worker has it [default: unfinished, but with
    /// --unique-for that time alone]
    #[arg(long, value_name = "STATE", requires = "unique_key")]
    pub unique_while: Option<KeyWhile>,
    /// If the unique key is taken: return the id of the execution that has it, or refuse [default: return]
    #[arg(long, value_name = "WHAT", requires = "unique_key")]
    pub unique_existing: Option<Existing>,
    /// Start when no other dispatch with the unique key came for so long; until then each gives it its arguments
    #[arg(long, value_name = "TIME", value_parser = parse::duration, requires = "unique_key")]
    pub debounce: Option<Duration>,
    /// But no later than so long after the first
    #[arg(long, value_name = "TIME", value_parser = parse::duration, requires = "debounce")]
    pub debounce_max: Option<Duration>,
    /// Wait for its end, as `wait` does
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, clap::Args)]
pub struct Signal {
    #[arg(value_parser = parse::id, value_name = "EXECUTION")]
    pub execution: Id,
    pub name: String,
    /// JSON; - reads it from standard input
    #[arg(default_value = "null")]
    pub payload: String,
    /// The same id for the same execution and name counts once
    #[arg(long)]
    pub id: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Cancel {
    #[arg(value_parser = parse::id, value_name = "EXECUTION")]
    pub execution: Id,
    /// Kept with the execution
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Wait {
    #[arg(value_parser = parse::id, value_name = "EXECUTION")]
    pub execution: Id,
    /// Not longer than this, as 30s
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "WHAT", subcommand_help_heading = "Instead of listing")]
pub struct OrHold {
    #[command(subcommand)]
    pub hold: Option<Hold>,
}

/// Of a queue or a function.
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// Nothing of it is claimed from now on, by any worker; what runs goes on, and so do dispatches
    Pause {
        name: String,
        /// Shown to whoever waits, and in lists
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// It is claimed again
    Resume { name: String },
    /// Pause it, and wait until nothing of it runs any more
    Drain {
        name: String,
        /// Shown to whoever waits, and in lists
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Wait not longer than this, as 30s; it stays paused
        #[arg(long, value_name = "TIME", value_parser = parse::duration)]
        timeout: Option<Duration>,
    },
}

#[derive(Debug, clap::Args)]
pub struct Metrics {
    /// Serve them by HTTP at this address, under /metrics, until the program is ended
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:9464", value_parser = parse::address)]
    pub listen: Option<SocketAddr>,
    /// Ask the store again after this at the earliest, however often the metrics are fetched
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse::duration, requires = "listen")]
    pub keep: Duration,
}

#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters, newest first
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        filter: LetterFilter,
        /// How many
        #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT", value_parser = parse::count)]
        limit: u32,
        /// Pass over so many
        #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = parse::number)]
        offset: u32,
    },
    /// Show one dead letter with its reason, error and payloads
    Show {
        #[arg(value_parser = parse::id, value_name = "TASK")]
        task: Id,
    },
    /// Start a new execution from a letter's, in which the failed path runs again; the letter goes
    Replay(Which),
    /// Delete dead letters; their executions stay as they ended
    Discard(Which),
}

#[derive(Debug, Clone, clap::Args)]
pub struct LetterFilter {
    /// Only those of this function
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Only those of this execution
    #[arg(long, value_parser = parse::id, value_name = "ID")]
    pub execution: Option<Id>,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = some_of(&["task", "function", "execution", "all"]))]
pub struct Which {
    /// One letter
    #[arg(value_parser = parse::id, value_name = "TASK", conflicts_with_all = ["function", "execution", "all"])]
    pub task: Option<Id>,
    #[command(flatten)]
    pub filter: LetterFilter,
    /// Every letter of the store
    #[arg(long, conflicts_with_all = ["function", "execution"])]
    pub all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Cleanup {
    /// Executions that ended longer ago than this
    #[arg(long, default_value = "7d", value_name = "AGE", value_parser = parse::duration)]
    pub older_than: Duration,
    /// Dead letters that are older than this, too; else all are kept, with their executions
    #[arg(long, value_name = "AGE", value_parser = parse::duration)]
    pub dead_letters: Option<Duration>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// A new file
    pub file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct Watch {
    /// How often to look
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = parse::duration)]
    pub every: Duration,
}

#[derive(Debug, clap::Args)]
pub struct Bench {
    /// How long, about
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse::duration)]
    pub time: Duration,
    /// Do not ask on a store that has work
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = some_of(&["executions", "all", "function", "queue", "state", "fenced"]))]
pub struct Export {
    /// These. One that goes on is fenced from then on: it runs nowhere until it is imported, or taken back
    #[arg(value_parser = parse::id, value_name = "EXECUTION", conflicts_with_all = ["all", "function", "queue", "state", "fenced"])]
    pub executions: Vec<Id>,
    /// Every one that goes on
    #[arg(long)]
    pub all: bool,
    /// Those of this function that go on
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Those in this queue that go on
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    #[arg(long, value_parser = parse::state::<ExecutionState>, help = parse::states("Those in this state", ExecutionState::WORDS))]
    pub state: Option<ExecutionState>,
    /// Once more what is fenced already
    #[arg(long, conflicts_with_all = ["all", "function", "queue", "state"])]
    pub fenced: bool,
    /// Into this new file; else to standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Wait so long for a moment at which no worker is at it
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse::duration)]
    pub wait: Duration,
    /// Also what a worker is at: that task runs again where it is imported
    #[arg(long)]
    pub anyway: bool,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// What `export` has written; - reads it from standard input
    pub file: PathBuf,
}

/// One of these has to be given, and all are named where none is.
fn some_of(args: &'static [&'static str]) -> ArgGroup {
    ArgGroup::new("which").args(args).required(true).multiple(true)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Args::command().debug_assert();
    }
}
