//! Short functions to build what cases pass to a store, and to read what they get.
#![allow(dead_code, reason = "each of the programs that check stores uses its part")]

use std::time::Duration;

use stent::backend::{
    Claim, Claimed, Commands, Held, NewExecution, NewSignal, Outcome, Spawn, SpawnKind, Transition, Verdict,
};
use stent::codec::CanonicalJson;
use stent::model::{
    CallOptions, Canonical as _, DispatchOptions, Error, Failure, FunctionOptions, Id, Number, Op, OpSet, Payload,
    ProgressEntry, ProgressStatus, Result, RetryPolicy, Task, TaskState, WaitMode, child_id,
};

use super::must::Must as _;

pub const HOUR: Duration = Duration::from_secs(3600);

pub fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The one that there is.
pub fn only<T: std::fmt::Debug>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

pub fn root_of(execution: Id) -> Id {
    child_id(execution, 0, "root")
}

pub fn new_execution(function: &str, args: &str, options: DispatchOptions) -> NewExecution {
    let args = Payload::from(args);
    NewExecution {
        id: options.id.unwrap_or_else(Id::now_v7),
        function: function.to_owned(),
        args_hash: hash(&args),
        args,
        options,
        registered: None,
    }
}

pub fn hash(args: &Payload) -> [u8; 32] {
    CanonicalJson.hash(args, &Payload::empty_object())
}

pub fn claim(worker: &str, count: usize, lease: Duration) -> Claim {
    Claim { worker_id: worker.to_owned(), count, limited: count, begin: count, slots: 1, lease }
}

pub fn held(of: &Claimed) -> Held {
    Held { task: of.task.id, execution: of.task.execution_id, parent: of.task.parent_task_id, fence: of.task.fence }
}

pub fn saying(of: &Claimed, commands: Commands, outcome: Outcome) -> Transition {
    Transition { held: held(of), commands, outcome }
}

pub fn completed(result: &str) -> Outcome {
    Outcome::Complete { result: result.into(), cache: None, cache_hit: false }
}

pub fn failure() -> Failure {
    Failure::new("Oops", "it broke")
}

pub fn dead(reason: &str) -> Outcome {
    Outcome::DeadLetter { failure: failure(), reason: reason.to_owned() }
}

pub fn retry(delay: Duration) -> Outcome {
    Outcome::Retry { failure: failure(), delay, reopen: false }
}

pub fn snooze(delay: Duration) -> Outcome {
    Outcome::Snooze { delay }
}

pub fn parked(version: Option<&str>) -> Outcome {
    Outcome::Park { failure: Failure::new("Nondeterminism", "other"), version: version.map(str::to_owned) }
}

pub fn suspended(mode: WaitMode, ops: &[Op], known: u64) -> Outcome {
    Outcome::Suspend { mode, ops: ops.iter().copied().collect::<OpSet>(), known }
}

pub fn is_recorded(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Recorded { .. })
}

pub fn is_status<T: std::fmt::Debug>(outcome: Result<T>, status: stent::model::Status, says: &str) {
    let error: Error = outcome.must_fail();
    assert_eq!(error.status(), status, "{error}");
    assert!(error.message().contains(says), "'{says}' is not in: {error}");
}

fn spawn(parent: &Claimed, op: Op, name: &str, what: SpawnKind) -> Spawn {
    let key = format!("{name}#{op}");
    Spawn { id: child_id(parent.task.id, parent.run, &key), op, key, name: name.to_owned(), what }
}

pub fn call(parent: &Claimed, op: Op, function: &str) -> Spawn {
    call_with(parent, op, function, "[]", CallOptions::default())
}

pub fn call_with(parent: &Claimed, op: Op, function: &str, args: &str, options: CallOptions) -> Spawn {
    let args = Payload::from(args);
    let args_hash = Some(hash(&args));
    spawn(parent, op, function, SpawnKind::Activity { args, options: Box::new(options), args_hash, registered: None })
}

pub fn timer(parent: &Claimed, op: Op, delay: Duration) -> Spawn {
    spawn(parent, op, "sleep", SpawnKind::Timer { delay })
}

pub fn wait_for(parent: &Claimed, op: Op, name: &str, timeout: Option<Duration>) -> Spawn {
    spawn(parent, op, name, SpawnKind::Signal { timeout })
}

pub fn step(parent: &Claimed, op: Op, outcome: Result<&str, Failure>) -> Spawn {
    let outcome = outcome.map(Payload::from);
    spawn(parent, op, "step", SpawnKind::Step { started_at: parent.claimed_at, outcome })
}

pub fn spawns(spawns: impl IntoIterator<Item = Spawn>) -> Commands {
    Commands { spawns: spawns.into_iter().collect(), ..Commands::default() }
}

pub fn cancels(spawned: &[&Spawn]) -> Commands {
    let cancels = spawned.iter().map(|spawn| stent::backend::Cancel { op: spawn.op, id: spawn.id }).collect();
    Commands { cancels, ..Commands::default() }
}

pub fn counting(amount: i64) -> Commands {
    Commands { counters: vec![("n".to_owned(), Number::Integer(amount))], ..Commands::default() }
}

/// Everything that a handler can say beside its end.
pub fn everything(of: &Claimed) -> Commands {
    Commands {
        spawns: vec![call(of, 1, "child"), timer(of, 2, HOUR), wait_for(of, 3, "go", None), step(of, 4, Ok("4"))],
        progress: vec![progress("half")],
        state: vec![("where".to_owned(), "\"here\"".into())],
        heartbeat: Some("7".into()),
        ..counting(1)
    }
}

pub fn progress(step: &str) -> ProgressEntry {
    ProgressEntry {
        step: step.to_owned(),
        status: ProgressStatus::Running,
        started_at: None,
        completed_at: None,
        detail: None,
    }
}

pub fn signal(execution: Id, name: &str, payload: &str) -> NewSignal {
    NewSignal { execution, name: name.to_owned(), payload: payload.into(), id: None }
}

/// Tried so often, at once.
pub fn tries(max_attempts: u32) -> FunctionOptions {
    let policy = RetryPolicy { max_attempts, initial_delay: 0.0, ..RetryPolicy::default() };
    FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }
}

/// Dead-lettered at that many deaths that were its own, and tried once.
pub fn deaths(max_deaths: u32) -> FunctionOptions {
    let policy = RetryPolicy { max_attempts: 1, max_deaths, ..RetryPolicy::default() };
    FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }
}

/// The body begins, where so many run at once.
pub fn begins(bodies: u32) -> Commands {
    Commands { begun: Some(bodies), ..Commands::default() }
}

/// What stands in a record as text, for one that is completed.
pub fn result(task: &Task) -> &str {
    assert_eq!(task.state, TaskState::Completed, "{task:#?}");
    text(task.result.as_ref().must())
}

pub fn text(payload: &Payload) -> &str {
    std::str::from_utf8(payload.as_bytes()).must()
}
