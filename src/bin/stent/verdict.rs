//! What a store's numbers mean, and what is to be done. Pure: whatever it judges is handed to it.

use std::time::Duration;

use serde::Serialize;
use stent::backend::{Depth, Health, LogSize, Pause, Registered, Sign};
use stent::model::Timestamp;

use crate::words::{age, bytes, cut, duration, number, several, visible};

/// Workers sweep several times a second where something is due, and every few seconds elsewhere. One that was not heard of
/// for so long may be gone.
pub const SILENT: Duration = Duration::from_secs(60);
/// What a sweep takes is taken at once; longer ago, nobody sweeps.
const LATE: Duration = Duration::from_secs(30);
/// A transaction that is older than this keeps dead rows from being cleared away.
const OLD: Duration = Duration::from_secs(600);
/// A log that is larger than this takes time at every start, and disk.
const LOG: u64 = 256 << 20;
/// What a slot may hold back of PostgreSQL's log.
const SLOT: i64 = 4 << 30;
/// Fewer dead rows than this are no matter, whatever their share.
const DEAD_ROWS: i64 = 100_000;
/// Less free room in a file than this is no matter.
const FREE: i64 = 64 << 20;
/// What is ready waits longer only where too few workers are.
const WAITS: Duration = Duration::from_secs(300);

/// A pause that is longer than this may have been forgotten.
const PAUSED: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Good,
    /// It can wait for a while.
    Watch,
    /// Something is not being done that should be.
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub subject: &'static str,
    pub mark: Mark,
    pub found: String,
    /// Empty where all is well.
    pub todo: String,
}

/// What was looked at.
pub struct Seen<'a> {
    pub health: &'a Health,
    pub registered: &'a Registered,
    pub log: Option<LogSize>,
    pub schema: i64,
    pub now: Timestamp,
}

fn good(subject: &'static str, found: impl Into<String>) -> Finding {
    Finding { subject, mark: Mark::Good, found: found.into(), todo: String::new() }
}

fn todo(subject: &'static str, mark: Mark, found: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { subject, mark, found: found.into(), todo: todo.into() }
}

/// A finding for each thing that was looked at.
pub fn judge(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = vec![good("schema", format!("version {}, as this command has it", seen.schema)), indexes(seen)];
    all.extend([
        workers(seen),
        leases(seen),
        due(seen),
        schedules(seen),
        functions(seen),
        waiting(seen),
        pauses(seen),
        parked(seen),
        keys(seen),
        strays(seen),
    ]);
    all.extend(room(seen));
    all.extend(transactions(seen));
    all.extend(slots(seen));
    all.extend(log(seen));
    all
}

fn of<'a>(seen: &'a Seen<'_>, part: &'a str) -> impl Iterator<Item = &'a Sign> {
    seen.health.signs.iter().filter(move |sign| sign.part == part && (sign.amount != 0 || part == "index"))
}

fn sum<'a>(signs: impl Iterator<Item = &'a Sign>) -> u64 {
    signs.map(|sign| u64::try_from(sign.amount).unwrap_or(0)).sum()
}

/// By name, and how many, until it is enough.
fn named<'a>(signs: impl Iterator<Item = &'a Sign>) -> String {
    let mut names: Vec<String> = signs.map(|sign| visible(&sign.name)).filter(|name| !name.is_empty()).collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn indexes(seen: &Seen<'_>) -> Finding {
    let is = |wanted: &&String| !of(seen, "index").any(|sign| sign.name == **wanted && sign.amount == 1);
    let missing: Vec<&str> = seen.health.indexes.iter().filter(is).map(String::as_str).collect();
    if missing.is_empty() {
        return good("indexes", format!("all {} are there", seen.health.indexes.len()));
    }
    let found = format!("missing or not valid: {}", missing.join(", "));
    todo(
        "indexes",
        Mark::Bad,
        found,
        "make them anew (REINDEX), or go back to a backup; without them claims read whole tables",
    )
}

fn workers(seen: &Seen<'_>) -> Finding {
    let Some(last) = seen.registered.workers.iter().map(|worker| worker.seen_at).max() else {
        let todo_ = "start a worker; nothing runs, and no timer rings, until there is one";
        return todo("workers", Mark::Bad, "there is none", todo_);
    };
    let silent = seen.now.since(last);
    if silent > SILENT {
        let found = format!("the last sweep was {} ago", duration(silent));
        return todo("workers", Mark::Bad, found, "look whether workers run and reach the store: stent workers");
    }
    let gone = seen.registered.workers.iter().filter(|worker| seen.now.since(worker.seen_at) > SILENT).count();
    let found = format!("{}, the last sweep {}", several(seen.registered.workers.len() as u64, "worker"), age(last));
    match gone {
        0 => good("workers", found),
        gone => todo(
            "workers",
            Mark::Watch,
            format!("{found}; of {} nothing was heard for a minute", several(gone as u64, "worker")),
            "they died or are cut off; others take their work over when their leases end: stent workers",
        ),
    }
}

fn leases(seen: &Seen<'_>) -> Finding {
    let ended = || of(seen, "lease").filter(|sign| sign.since.is_some_and(|since| seen.now.since(since) > LATE));
    match sum(ended()) {
        0 => good("leases", "none has ended without being taken back"),
        count => todo(
            "leases",
            Mark::Bad,
            format!("{} ended and nobody took them back ({})", several(count, "lease"), named(ended())),
            "start a worker, of any kind: it takes them back at once",
        ),
    }
}

fn due(seen: &Seen<'_>) -> Finding {
    let late = || of(seen, "due").filter(|sign| sign.since.is_some_and(|since| seen.now.since(since) > LATE));
    match sum(late()) {
        0 => good("timers", "none is late"),
        count => todo(
            "timers",
            Mark::Bad,
            format!("{} late (timers, delays and time-outs)", several(count, "task")),
            "start a worker, of any kind: each takes what is due for the whole store",
        ),
    }
}

fn schedules(seen: &Seen<'_>) -> Finding {
    let broken = || of(seen, "broken_schedule");
    if sum(broken()) > 0 {
        let found = format!("can't be read, and start nothing: {}", named(broken()));
        return todo(
            "schedules",
            Mark::Bad,
            found,
            "put them again, or use the library that wrote them: stent schedules show",
        );
    }
    let late = || of(seen, "schedule").filter(|sign| sign.since.is_some_and(|since| seen.now.since(since) > LATE));
    match sum(late()) {
        0 => good("schedules", "none is late"),
        count => todo(
            "schedules",
            Mark::Bad,
            format!("{} late ({})", several(count, "schedule"), named(late())),
            "start a worker, of any kind: each starts what is due for the whole store; what is later than catch_up is missed",
        ),
    }
}

fn functions(seen: &Seen<'_>) -> Finding {
    let known = |name: &str| seen.registered.functions.iter().any(|(function, _)| function == name);
    let unknown: Vec<_> = seen.registered.ready.iter().filter(|depth| !known(&depth.function)).collect();
    if unknown.is_empty() {
        return good("functions", "all that is ready has a function that some worker has declared");
    }
    let names: Vec<String> = unknown
        .iter()
        .take(5)
        .map(|depth| format!("'{}' ({})", visible(&depth.function), number(depth.count)))
        .collect();
    todo(
        "functions",
        Mark::Bad,
        format!("tasks are ready whose function no worker has declared: {}", names.join(", ")),
        "start a worker that has it, or cancel them if the name was mistyped: stent list --function NAME",
    )
}

fn waiting(seen: &Seen<'_>) -> Finding {
    let serves = |queue: &Option<String>| match queue {
        None => !seen.registered.workers.is_empty(),
        Some(queue) => seen.registered.workers.iter().any(|w| w.queues.is_empty() || w.queues.contains(queue)),
    };
    let ready = &seen.registered.ready;
    let is_held = |depth: &&Depth| {
        seen.registered.pauses.iter().any(|pause| pause.holds_for(depth.queue.as_deref(), &depth.function))
    };
    if let Some(depth) = ready.iter().find(|depth| !serves(&depth.queue)) {
        let queue =
            depth.queue.as_deref().map_or_else(|| "without a queue".to_owned(), |q| format!("'{}'", visible(q)));
        let found = format!("{} in the queue {queue}, which no worker serves", several(depth.count, "ready task"));
        return todo("queues", Mark::Bad, found, "start a worker for that queue: stent queues");
    }
    match ready.iter().filter(|depth| !is_held(depth)).max_by_key(|depth| depth.oldest) {
        Some(depth) if depth.oldest > WAITS => todo(
            "queues",
            Mark::Watch,
            format!("'{}' has been ready for {}", visible(&depth.function), duration(depth.oldest)),
            "there are too few workers for it, or its max_concurrent or its tags keep it back: stent queues",
        ),
        _ => good("queues", format!("{} ready", several(ready.iter().map(|depth| depth.count).sum(), "task"))),
    }
}

fn pauses(seen: &Seen<'_>) -> Finding {
    let all = &seen.registered.pauses;
    let told = |pause: &Pause| {
        let what = pause.what().map(|what| visible(&what.to_string())).unwrap_or_default();
        let reason = pause.reason.as_deref().map(|reason| format!(" ({})", cut(&visible(reason), 80)));
        format!("{what} for {}{}", duration(seen.now.since(pause.since)), reason.unwrap_or_default())
    };
    let is_long = |pause: &&Pause| seen.now.since(pause.since) > PAUSED;
    let long: Vec<String> = all.iter().filter(is_long).take(5).map(told).collect();
    if long.is_empty() {
        return match all.as_slice() {
            [] => good("pauses", "nothing is paused"),
            some => good("pauses", some.iter().take(5).map(told).collect::<Vec<_>>().join(", ")),
        };
    }
    let todo_ = "if it was forgotten: stent queues resume NAME, stent functions resume NAME";
    todo("pauses", Mark::Watch, format!("paused: {}", long.join(", ")), todo_)
}

fn parked(seen: &Seen<'_>) -> Finding {
    match sum(of(seen, "parked")) {
        0 => good("parked", "no task is"),
        count => todo(
            "parked",
            Mark::Bad,
            format!(
                "{} of {}: their code does not fit their journals",
                several(count, "task"),
                named(of(seen, "parked"))
            ),
            "start a worker with the version that fits, or mend the code and: stent resume ID (stent tasks --state waiting)",
        ),
    }
}

/// Slots of keys are shared in the transactions that free them.
fn keys(seen: &Seen<'_>) -> Finding {
    match sum(of(seen, "unshared")) {
        0 => good("keys", "none has a free slot for which a task waits"),
        count => todo(
            "keys",
            Mark::Bad,
            format!("{} of {} with a free slot, and a task waits", several(count, "key"), named(of(seen, "unshared"))),
            "rows were changed past the tables' triggers; declare another max_concurrent_per_key: slots are shared anew",
        ),
    }
}

/// A tool makes a task before its execution, and then has both; what is still alone after a while stays so.
fn strays(seen: &Seen<'_>) -> Finding {
    let alone = || of(seen, "stray").filter(|sign| sign.since.is_some_and(|since| seen.now.since(since) > LATE));
    match sum(alone()) {
        0 => good("executions", "every task has its own"),
        count => todo(
            "executions",
            Mark::Watch,
            format!("{} of {} whose execution does not exist", several(count, "unfinished task"), named(alone())),
            "no worker runs them: create their executions (create_execution), or end them (update_task, cancelled); \
             stent tasks --function NAME",
        ),
    }
}

/// Tables of PostgreSQL, or the file.
fn room(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(file) = of(seen, "file").next() {
        let free = file.more.unwrap_or(0);
        let found = format!("{}, of which {} are free", whole(file.amount), whole(free));
        all.push(if free > FREE && free > file.amount / 2 {
            let what = "new rows take that room first; to give it back to the disk, stop the workers and VACUUM";
            todo("size", Mark::Watch, found, what)
        } else {
            good("size", found)
        });
    }
    if of(seen, "table").next().is_none() {
        return all;
    }
    let found = format!("{} with indexes", bytes(sum(of(seen, "table"))));
    let dead = |sign: &&Sign| {
        let (dead, rows) = (sign.more.unwrap_or(0), sign.rows.unwrap_or(0));
        dead > DEAD_ROWS && dead > rows / 2
    };
    let bloated: Vec<String> = of(seen, "table")
        .filter(dead)
        .map(|sign| {
            let vacuumed = sign.since.map_or_else(|| "never vacuumed".to_owned(), |at| format!("vacuumed {}", age(at)));
            format!(
                "{} ({} dead rows, {vacuumed})",
                sign.name,
                number(u64::try_from(sign.more.unwrap_or(0)).unwrap_or(0))
            )
        })
        .collect();
    all.push(if bloated.is_empty() {
        good("size", found)
    } else {
        let what = "let autovacuum run more often on them, and look for old transactions that hold it up";
        todo("size", Mark::Watch, format!("{found}; many dead rows: {}", bloated.join(", ")), what)
    });
    all
}

fn whole(size: i64) -> String {
    bytes(u64::try_from(size).unwrap_or(0))
}

fn transactions(seen: &Seen<'_>) -> Option<Finding> {
    of(seen, "table").next()?;
    let old = of(seen, "transaction").filter(|sign| sign.since.is_some_and(|since| seen.now.since(since) > OLD));
    let Some(oldest) = old.min_by_key(|sign| sign.since) else {
        return Some(good("transactions", "none is old enough to hold up vacuum"));
    };
    let since = oldest.since.map(|since| seen.now.since(since)).unwrap_or_default();
    let found = format!("process {} ({}) has one open for {}", oldest.amount, visible(&oldest.name), duration(since));
    let what = format!(
        "end it, if nobody needs it: SELECT pg_terminate_backend({}); rows that died since can't be cleared away",
        oldest.amount
    );
    Some(todo("transactions", Mark::Bad, found, what))
}

fn slots(seen: &Seen<'_>) -> Option<Finding> {
    let slot = of(seen, "slot").filter(|sign| sign.amount > SLOT).max_by_key(|sign| sign.amount)?;
    let found =
        format!("the replication slot '{}' holds back {} of the server's log", visible(&slot.name), whole(slot.amount));
    let what = "look whether who reads it still does, or drop it: the disk fills up";
    Some(todo("slots", Mark::Bad, found, what))
}

fn log(seen: &Seen<'_>) -> Option<Finding> {
    let log = seen.log?;
    let found = bytes(log.bytes);
    Some(if log.bytes > LOG {
        let what = "some program reads the file for a long time, so that its log can't be cut: end its transaction";
        todo("log", Mark::Bad, found, what)
    } else {
        good("log", found)
    })
}

#[cfg(test)]
mod tests {
    use stent::backend::RegisteredWorker;

    use super::*;

    const NOW: i64 = 1_764_300_000_000_000;

    fn before(seconds: u64) -> Timestamp {
        Timestamp::from_micros(NOW).before(Duration::from_secs(seconds))
    }

    fn sign(part: &str, amount: i64, ago: u64) -> Sign {
        Sign { part: part.into(), name: "n".into(), amount, more: None, rows: None, since: Some(before(ago)) }
    }

    fn worker(silent: u64) -> RegisteredWorker {
        RegisteredWorker {
            worker_id: "w".into(),
            queues: vec!["fast".into()],
            tags: vec![],
            started_at: before(1_000),
            seen_at: before(silent),
            running: 0,
        }
    }

    /// Subject and mark of all that is not good.
    fn told(signs: Vec<Sign>, registered: &Registered, log: u64) -> Vec<(&'static str, Mark)> {
        let health = Health { signs, indexes: vec!["i".into()] };
        let log = (log > 0).then_some(LogSize { bytes: log, blocked: Duration::ZERO });
        let seen = Seen { health: &health, registered, log, schema: 6, now: Timestamp::from_micros(NOW) };
        let all = judge(&seen);
        assert!(all.iter().all(|one| one.todo.is_empty() == (one.mark == Mark::Good)), "{all:#?}");
        all.iter().filter(|one| one.mark != Mark::Good).map(|one| (one.subject, one.mark)).collect()
    }

    fn index() -> Sign {
        Sign { name: "i".into(), ..sign("index", 1, 0) }
    }

    #[test]
    fn each_ill_is_found_and_nothing_else() {
        let well = Registered { workers: vec![worker(1)], ..Registered::default() };
        assert_eq!(told(vec![index(), sign("table", 9, 1), sign("file", 9, 1), sign("due", 0, 0)], &well, 1), []);
        assert_eq!(told(vec![], &well, 0), [("indexes", Mark::Bad)]);
        assert_eq!(told(vec![Sign { amount: 0, ..index() }], &well, 0), [("indexes", Mark::Bad)]);
        for (part, amount, ago, found) in [
            ("lease", 3, 60, Some(("leases", Mark::Bad))),
            ("lease", 3, 5, None),
            ("due", 2, 60, Some(("timers", Mark::Bad))),
            ("due", 2, 5, None),
            ("schedule", 1, 60, Some(("schedules", Mark::Bad))),
            ("schedule", 1, 5, None),
            ("broken_schedule", 1, 5, Some(("schedules", Mark::Bad))),
            ("stray", 2, 60, Some(("executions", Mark::Watch))),
            ("stray", 2, 5, None),
            ("parked", 1, 5, Some(("parked", Mark::Bad))),
            ("unshared", 1, 5, Some(("keys", Mark::Bad))),
            ("transaction", 77, 700, Some(("transactions", Mark::Bad))),
            ("transaction", 77, 90, None),
            ("slot", 5 << 30, 0, Some(("slots", Mark::Bad))),
            ("slot", 5, 0, None),
        ] {
            let signs = vec![index(), sign("table", 9, 1), sign(part, amount, ago)];
            assert_eq!(told(signs, &well, 0), found.into_iter().collect::<Vec<_>>(), "{part} {amount} {ago}");
        }
        let bloated = Sign { more: Some(DEAD_ROWS + 1), rows: Some(10), ..sign("table", 9, 1) };
        assert_eq!(told(vec![index(), bloated], &well, 0), [("size", Mark::Watch)]);
        let empty = Sign { more: Some(FREE + 1), ..sign("file", FREE + 2, 1) };
        assert_eq!(told(vec![index(), empty], &well, LOG + 1), [("size", Mark::Watch), ("log", Mark::Bad)]);
    }

    #[test]
    fn workers_that_are_missing_or_silent_are_told() {
        assert_eq!(told(vec![index()], &Registered::default(), 0), [("workers", Mark::Bad)]);
        let silent = Registered { workers: vec![worker(3_600)], ..Registered::default() };
        assert_eq!(told(vec![index()], &silent, 0), [("workers", Mark::Bad)]);
        let one_of_two = Registered { workers: vec![worker(3_600), worker(1)], ..Registered::default() };
        assert_eq!(told(vec![index()], &one_of_two, 0), [("workers", Mark::Watch)]);
    }

    #[test]
    fn what_nobody_runs_is_told() {
        let ready = |queue: Option<&str>, oldest: u64| Registered {
            ready: vec![Depth {
                queue: queue.map(str::to_owned),
                function: "f".into(),
                count: 2,
                oldest: Duration::from_secs(oldest),
            }],
            functions: vec![("f".into(), stent::model::FunctionOptions::default())],
            workers: vec![worker(1)],
            ..Registered::default()
        };
        assert_eq!(told(vec![index()], &ready(Some("fast"), 1), 0), []);
        assert_eq!(told(vec![index()], &ready(Some("slow"), 1), 0), [("queues", Mark::Bad)]);
        assert_eq!(told(vec![index()], &ready(None, 1_000), 0), [("queues", Mark::Watch)]);
        let paused = |ago: u64| Registered {
            pauses: vec![Pause {
                queue: Some("fast".into()),
                function: None,
                since: before(ago),
                reason: None,
                by: None,
                running: 0,
            }],
            ..ready(Some("fast"), 1_000)
        };
        assert_eq!(told(vec![index()], &paused(60), 0), [], "what waits is held back, and not for long");
        assert_eq!(told(vec![index()], &paused(7_200), 0), [("pauses", Mark::Watch)]);
        let unknown = Registered { functions: vec![], ..ready(None, 1) };
        assert_eq!(told(vec![index()], &unknown, 0), [("functions", Mark::Bad)]);
    }
}
