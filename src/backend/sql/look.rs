//! What people look for in a store, besides what programs ask: tasks of the whole store, an execution's signals, functions
//! and workers, what a cleanup would take, and how the store is doing.

use std::collections::BTreeSet;

use super::catalog::Catalog;
use super::row::Row;
use super::session::Session;
use super::statements::{
    DEAD_LETTERS_COUNT_OLD, EXECUTIONS_COUNT_OLD, FUNCTIONS_UNSERVED, HEALTH, RATE_WAITS, SIGNALS_LIST, SLOT_WAITS,
    TASKS_AT_HAND, TASKS_FIND, WORKERS_LIST, WORKERS_READ,
};
use super::{pauses, rows, stats};
use crate::backend::{AtHand, Old, OldFilter, Registered, RegisteredWorker, Sign, SlotWait, TaskFilter, Unserved};
use crate::codec;
use crate::model::{Id, Result, Signal, Task, TaskState};

/// Of so many tasks that are to start it is looked at whether they may.
const STARTS: i64 = 1_000;

/// The last of all ids: nothing comes before it.
const LAST: Id = Id::max();

pub(super) async fn tasks(session: &mut dyn Session, filter: &TaskFilter) -> Result<Vec<Task>> {
    filter.check()?;
    let mut call = TASKS_FIND.call();
    call.id(filter.after.unwrap_or(LAST))
        .text(filter.state.map(TaskState::as_str))
        .text(filter.function.as_deref())
        .text(filter.queue.as_deref())
        .int(i64::from(filter.limit));
    session.fetch(&call).await?.iter().map(rows::task).collect()
}

/// Which are due next, the index knows by two clocks: they come in the order of the wall clock.
pub(super) async fn at_hand(session: &mut dyn Session, limit: u32) -> Result<Vec<AtHand>> {
    let found = session.fetch(TASKS_AT_HAND.call().int(i64::from(limit)).clock()).await?;
    let all = found.iter().map(in_hand).collect::<Result<Vec<_>>>()?;
    let (mut due, mut all): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.part == "due");
    due.sort_by_key(|one| (one.due, one.task));
    due.truncate(limit as usize);
    all.extend(due);
    Ok(all)
}

fn in_hand(row: &Row) -> Result<AtHand> {
    Ok(AtHand {
        part: row.string("part")?,
        task: row.id("id")?,
        execution: row.id("execution_id")?,
        function: row.string("step_name")?,
        kind: row.word("kind")?,
        worker_id: row.optional_string("worker_id")?,
        retries: row.count("retries")?,
        created_at: row.time("created_at")?,
        started_at: row.optional_time("started_at")?,
        due: row.optional_time("due")?,
    })
}

pub(super) async fn signals(session: &mut dyn Session, execution: Id, limit: u32) -> Result<Vec<Signal>> {
    let mut call = SIGNALS_LIST.call();
    call.id(execution).int(i64::from(limit));
    session.fetch(&call).await?.iter().map(rows::signal).collect()
}

pub(super) async fn slot_waits(session: &mut dyn Session, execution: Id, limit: u32) -> Result<Vec<SlotWait>> {
    let mut call = SLOT_WAITS.call();
    call.id(execution).int(i64::from(limit));
    let wait = |row: &Row| {
        Ok(SlotWait {
            task: row.id("id")?,
            function: row.string("step_name")?,
            concurrency_key: Some(row.string("concurrency_key")?),
            queue: None,
            max_concurrent_per_key: row.optional_count("most")?,
            held: row.count("held")?,
            rate_per_key: row.optional_text("rate")?.map(codec::rate_from_column).transpose()?,
            rate: None,
            next_at: row.optional_time("next_at")?,
            hold_ends_at: row.optional_time("hold_ends_at")?,
        })
    };
    let mut waits = session.fetch(&call).await?.iter().map(wait).collect::<Result<Vec<_>>>()?;
    let mut call = RATE_WAITS.call();
    call.id(execution).int(STARTS).clock();
    for row in session.fetch(&call).await? {
        waits.extend(waits_to_start(&row)?);
    }
    waits.truncate(limit as usize);
    Ok(waits)
}

/// Of a task that is ready and has not begun: what of its function or its queue it waits for, if it does.
fn waits_to_start(row: &Row) -> Result<Option<SlotWait>> {
    let now = row.time("now")?;
    let wait = SlotWait {
        task: row.id("id")?,
        function: row.string("step_name")?,
        concurrency_key: None,
        queue: None,
        max_concurrent_per_key: None,
        held: 0,
        rate_per_key: None,
        rate: None,
        next_at: None,
        hold_ends_at: row.optional_time("hold_ends_at")?.filter(|ends_at| *ends_at > now),
    };
    if wait.hold_ends_at.is_some() {
        return Ok(Some(wait));
    }
    for (rate, full_at, queue) in [("rate", "full_at", None), ("queue_rate", "queue_full_at", Some("queue"))] {
        let Some(rate) = row.optional_text(rate)?.map(codec::rate_from_column).transpose()? else { continue };
        let full_at = row.optional_time(full_at)?.unwrap_or_default();
        if rate.tokens(full_at, now) == 0 {
            let queue = queue.map(|queue| row.optional_string(queue)).transpose()?.flatten();
            return Ok(Some(SlotWait { queue, next_at: Some(rate.next(full_at, now)), rate: Some(rate), ..wait }));
        }
    }
    Ok(None)
}

/// For a session whose statements all see one state of the store.
pub(super) async fn registered(session: &mut dyn Session) -> Result<Registered> {
    let functions = Catalog::functions(session).await?;
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|(one, _), (other, _)| one.cmp(other));
    let workers = session.fetch(&WORKERS_READ.call()).await?.iter().map(worker).collect::<Result<_>>()?;
    let pauses = pauses::read(session).await?;
    let queue_rates = Catalog::declared_rates(session).await?;
    Ok(Registered { ready: stats::depths(session).await?, functions, workers, pauses, queue_rates })
}

/// As [`registered`]. Which functions are called is known by their routes, so tasks are looked at only where nobody has
/// registered one.
pub(super) async fn unserved(session: &mut dyn Session) -> Result<Unserved> {
    let found = session.fetch(&FUNCTIONS_UNSERVED.call()).await?;
    let mut functions = found.iter().map(|row| row.string("function")).collect::<Result<Vec<_>>>()?;
    functions.sort_unstable();
    let mut registered: Vec<_> = Catalog::functions(session).await?.into_keys().collect();
    registered.sort_unstable();
    let workers = session.fetch(&WORKERS_LIST.call()).await?.len() as u64;
    let paused = pauses::read(session).await?;
    Ok(Unserved { functions, registered, workers: Some(workers), paused })
}

fn worker(row: &Row) -> Result<RegisteredWorker> {
    Ok(RegisteredWorker {
        worker_id: row.string("worker_id")?,
        queues: row.tags("queues")?,
        tags: row.tags("tags")?,
        started_at: row.time("started_at")?,
        seen_at: row.time("seen_at")?,
        running: row.count("running")?,
    })
}

/// As [`registered`].
pub(super) async fn old(session: &mut dyn Session, filter: OldFilter) -> Result<Old> {
    let limit = i64::from(filter.limit);
    let executions =
        session.one(EXECUTIONS_COUNT_OLD.call().time(filter.executions).int(limit)).await?.count("count")?;
    let dead_letters = match filter.dead_letters {
        None => 0,
        Some(before) => session.one(DEAD_LETTERS_COUNT_OLD.call().time(before).int(limit)).await?.count("count")?,
    };
    Ok(Old { executions, dead_letters })
}

pub(super) async fn signs(session: &mut dyn Session) -> Result<Vec<Sign>> {
    session.fetch(HEALTH.call().clock()).await?.iter().map(sign).collect()
}

fn sign(row: &Row) -> Result<Sign> {
    Ok(Sign {
        part: row.string("part")?,
        name: row.optional_string("name")?.unwrap_or_default(),
        amount: row.int("amount")?,
        more: row.optional_int("more")?,
        rows: row.optional_int("rows")?,
        since: row.optional_time("since")?,
    })
}

/// The indexes that all of these migrations leave behind.
pub(super) fn indexes(migrations: &[&str]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for line in migrations.iter().flat_map(|sql| sql.lines()) {
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words.as_slice() {
            ["CREATE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => names.insert((*name).to_owned()),
            ["DROP", "INDEX", name] => names.remove(*name),
            _ => false,
        };
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::indexes;

    #[test]
    fn indexes_are_those_that_migrations_leave() {
        let first = "CREATE TABLE a (b);\nCREATE INDEX a_b ON a (b);\nCREATE UNIQUE INDEX a_c ON a (c)\n    WHERE c;";
        assert_eq!(indexes(&[first]), ["a_b", "a_c"]);
        assert_eq!(indexes(&[first, "DROP INDEX a_b;\nCREATE INDEX a_d ON a (d);"]), ["a_c", "a_d"]);
    }
}
