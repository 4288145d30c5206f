//! A standing backlog, drained while another connection's open transaction keeps every dead row from being removed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _};

use crate::Size;
use crate::costs::{counted, rows, until_counted};
use crate::drain::SLOTS;
use crate::report::{Report, thousands};
use crate::stage::{Result, Stage, noop, runtime};
use crate::stores::{Place, Store};

/// So many are ready at any time: whoever dispatches keeps it so.
const BACKLOG: usize = 20_000;
const BATCH: usize = 1_000;

/// What the rates at the beginning and at the end are taken over.
const WINDOW: Duration = Duration::from_secs(10);

/// Somebody's report, or a transaction that was forgotten: it has read something and does nothing more.
const PIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM routes";

/// Executions in a second over the first window and over the last, and what each of all cost.
struct Run {
    first: f64,
    last: f64,
    wal: f64,
    dead: f64,
}

/// PostgreSQL only: a long reader of SQLite holds up the log's end, and nothing else.
pub fn run(report: &mut Report, store: &Store, size: Size) -> Result<()> {
    let Store::Postgres(_) = store else { return Ok(()) };
    let runtime = runtime()?;
    let long = if size.quick { 4 * WINDOW } else { 12 * WINDOW };
    let measured = |long, pinned| {
        let place = store.place()?;
        let run = drain(&place, long, pinned)?;
        runtime.block_on(place.clear())?;
        Ok::<_, Box<dyn std::error::Error>>(run)
    };
    let quiet = measured(2 * WINDOW, false)?;
    report.rate(&format!("a standing backlog of {} executions", thousands(BACKLOG as f64)), quiet.last);
    let pinned = measured(long, true)?;
    for (when, rate) in [("first", pinned.first), ("last", pinned.last)] {
        report.line(
            &format!("beside an old snapshot, the {when} {} s of {}", WINDOW.as_secs(), long.as_secs()),
            &format!("{} /s", thousands(rate)),
            &format!("{:.0}% of the rate without it", 100.0 * rate / quiet.last),
        );
    }
    for (what, run) in [("without one", &quiet), ("beside an old snapshot", &pinned)] {
        report.line(
            &format!("each execution, {what}"),
            &format!("{:.0} bytes of WAL", run.wal),
            &format!("{:.1} dead rows left", run.dead),
        );
    }
    Ok(())
}

fn drain(place: &Place, long: Duration, pinned: bool) -> Result<Run> {
    let stage = Stage::at(&place.url)?;
    let runs = stage.register("noop", noop)?;
    let (Some(mut conn), Some(mut pin)) =
        (stage.runtime.block_on(place.postgres())?, stage.runtime.block_on(place.postgres())?)
    else {
        return Err("this is for PostgreSQL".into());
    };
    if pinned {
        stage.runtime.block_on(async { pin.execute(sqlx::raw_sql(PIN)).await })?;
    }
    let before = stage.runtime.block_on(counted(&mut conn))?;
    stage.dispatch_many("noop", "[1]", BACKLOG)?;
    let worker = stage.worker(SLOTS)?;
    let (begin, at_begin) = (Instant::now(), runs.load(Ordering::Relaxed));
    let (mut first, mut late) = (None, None);
    let mut dispatched = BACKLOG;
    while begin.elapsed() < long {
        feed(&stage, &runs, &mut dispatched)?;
        let (now, count) = (begin.elapsed(), runs.load(Ordering::Relaxed));
        if first.is_none() && now >= WINDOW {
            first = Some((count - at_begin) as f64 / now.as_secs_f64());
        }
        if late.is_none() && now >= long - WINDOW {
            late = Some((now, count));
        }
    }
    let (end, count) = (begin.elapsed(), runs.load(Ordering::Relaxed));
    let (since, then) = late.unwrap_or_default();
    let last = (count - then) as f64 / (end - since).as_secs_f64();
    stage.until_recorded(&worker, &runs, dispatched)?;
    stage.stop(&worker)?;
    let (after, rows) = stage.runtime.block_on(async {
        until_counted(&mut conn, dispatched as i64).await?;
        Ok::<_, Box<dyn std::error::Error>>((counted(&mut conn).await?, rows(&mut conn).await?))
    })?;
    stage.runtime.block_on(async {
        conn.close().await?;
        pin.close().await
    })?;
    let each = |total: i64| total as f64 / dispatched as f64;
    Ok(Run { first: first.unwrap_or_default(), last, wal: each(after.wal - before.wal), dead: each(rows.dead) })
}

/// Dispatches as many as have run, or waits for a moment.
fn feed(stage: &Stage, runs: &AtomicUsize, dispatched: &mut usize) -> Result<()> {
    if *dispatched - runs.load(Ordering::Relaxed) + BATCH > BACKLOG {
        std::thread::sleep(Duration::from_millis(1));
        return Ok(());
    }
    stage.dispatch_many("noop", "[1]", BATCH)?;
    *dispatched += BATCH;
    Ok(())
}
