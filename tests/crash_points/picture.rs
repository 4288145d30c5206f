//! How it ended: all that is the same wherever a worker died.

use std::collections::BTreeSet;

use stent::backend::{DeadLetterFilter, ExecutionFilter, JournalRequest, Request, Response, SharedBackend};
use stent::model::{Execution, Id, Payload, Task, TaskState};

use crate::corpus::PAUSE;

const ALL: u32 = 1_000;

pub async fn executions(store: &SharedBackend) -> Vec<Execution> {
    store.list(ExecutionFilter { limit: ALL, ..ExecutionFilter::default() }).await.unwrap()
}

/// Line by line.
pub async fn picture(store: &SharedBackend) -> String {
    let mut executions = executions(store).await;
    executions.sort_by(|one, other| one.root_function.cmp(&other.root_function));
    let mut lines = Vec::new();
    for execution in &executions {
        let told = store.snapshot(execution.id).await.unwrap().unwrap();
        let error = execution.error.as_ref().map(|error| &error.kind);
        let Execution { root_function, state, result, .. } = execution;
        lines.push(format!("{root_function}: {state}, {result:?}, {error:?}, {:?}, {:?}", told.counters, told.state));
        let details = told.execution.progress.iter().filter_map(|entry| entry.detail.as_ref());
        lines.extend(details.map(|detail| format!("  said {detail:?}")));
        lines.extend(tasks(store, execution.id).await);
    }
    let letters = store.dead_letters(DeadLetterFilter { limit: ALL, ..DeadLetterFilter::default() }).await.unwrap();
    let mut letters: Vec<String> =
        letters.iter().map(|letter| format!("letter of {}: {}", letter.task.step_name, letter.reason)).collect();
    letters.sort_unstable();
    lines.extend(letters);
    lines.join("\n")
}

async fn tasks(store: &SharedBackend, execution: Id) -> Vec<String> {
    let request = Request::ListTasksForExecution { execution_id: execution };
    let Response::Tasks(mut tasks) = store.call(request).await.unwrap() else { panic!("tasks are not listed") };
    tasks.sort_by(|one, other| one.step_key.cmp(&other.step_key));
    nobody_starts_too_early(&tasks);
    let mut lines = Vec::new();
    for Task { id, step_key, step_name, kind, state, result, error, retries, .. } in &tasks {
        let error = error.as_ref().map(|error| &error.kind);
        // A death is an attempt too: what succeeds at its third one may have failed once less.
        let retries = (*state == TaskState::Failed).then_some(*retries);
        lines.push(format!("  {step_key:?} {kind} {step_name}: {state}, {result:?}, {error:?}, retries {retries:?}"));
        let journal = store.journals(vec![JournalRequest { task: *id, after: 0 }]).await.unwrap().remove(0);
        let ended: Vec<u64> = journal.iter().filter_map(|entry| entry.arrival).filter(|arrival| *arrival > 0).collect();
        let apart: BTreeSet<&u64> = ended.iter().collect();
        assert_eq!(apart.len(), ended.len(), "two have arrived as one: {journal:?}");
    }
    lines
}

/// Whatever dies: nobody starts in the time after one who has held the others, nor sooner than a token comes.
fn nobody_starts_too_early(tasks: &[Task]) {
    let of = |function: &str| tasks.iter().filter(move |task| task.step_name == function).collect::<Vec<&Task>>();
    for function in ["holds_key", "holds_function"] {
        let all = of(function);
        let told = all.iter().find(|task| task.result == Some(Payload::from("[0]")));
        let Some(since) = told.and_then(|task| task.completed_at) else { continue };
        for start in all.iter().filter_map(|task| task.started_at) {
            assert!(start <= since || start.since(since) >= PAUSE, "{function}: held at {since}, {start} starts one");
        }
    }
    for function in ["rate_of_key", "rate_of_function", "rate_of_queue"] {
        let mut starts: Vec<_> = of(function).iter().filter_map(|task| task.started_at).collect();
        starts.sort_unstable();
        for pair in starts.windows(2) {
            assert!(pair[1].since(pair[0]) >= PAUSE, "{function}: starts at {} and {}", pair[0], pair[1]);
        }
    }
}
