//! Steps that a handler's own transaction records: what it does and the record are there together, once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use stent::executor::{Task, Worker};
use stent::model::{ExecutionState, Failure, Id, Op, Payload, Result, WorkerOptions};

use super::Client;
use crate::house::{House, SOON, text};
use crate::postgres::{fresh_url, shared};

/// What a handler does with a token, on a connection of its own.
pub(super) type Work = Box<dyn Fn(&Task, &str, &Client, &tokio::runtime::Runtime) + Send + Sync>;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Whose handlers' panics are the test's own: another attempt may find a step that should not have been recorded.
pub(super) struct Shop {
    house: House,
    panics: Arc<AtomicUsize>,
}

impl std::ops::Deref for Shop {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.panics.load(SeqCst), 0, "a handler has panicked");
        }
    }
}

/// A store with the function `pay`, which has one step, and waits after it: it runs twice.
pub(super) fn house(url: &str, work: Work) -> Shop {
    house_of(
        url,
        Box::new(move |task, op, token, client, runtime| {
            work(task, token, client, runtime);
            task.transaction_end(op, Failure::new("Declined", "no money"))
        }),
    )
}

type Ends = Box<dyn Fn(&Task, Op, &str, &Client, &tokio::runtime::Runtime) -> Result<()> + Send + Sync>;

/// The same, where the work also ends the step.
fn house_of(url: &str, work: Ends) -> Shop {
    let house = House::at(url);
    let place = url.to_owned();
    let panics = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&panics);
    house.function("pay", move |task| {
        let begun = task.transaction_begin("charge", None)?;
        if let Some(token) = &begun.token {
            let runtime = runtime();
            let client = runtime.block_on(Client::of(&place));
            let done = catch_unwind(AssertUnwindSafe(|| work(task, begun.op, token, &client, &runtime)));
            done.unwrap_or_else(|panicked| {
                counts.fetch_add(1, SeqCst);
                resume_unwind(panicked)
            })?;
        }
        task.sleep(Duration::from_millis(20), None)?;
        task.complete(task.result(begun.op)?)
    });
    Shop { house, panics }
}

pub(super) fn fresh() -> String {
    let url = fresh_url("");
    drop(House::at(&url));
    runtime().block_on(async { Client::of(&url).await.say("CREATE TABLE stent.money (amount int)").await });
    url
}

/// Another connection: those of a runtime that is gone are of no use.
pub(super) async fn money(url: &str) -> String {
    Client::of(url).await.count("money").await
}

fn record(token: &str) -> String {
    format!("INSERT INTO stent.money VALUES (5); SELECT stent.record_step('{token}', '{{\"paid\": 5.0}}')")
}

/// In a transaction that is open then, without work.
fn alone(call: &str) -> String {
    format!("BEGIN; SELECT txid_current(); SELECT stent.record_step({call})")
}

/// The step as a worker records one, for comparison.
const STEP: &str = "SELECT concat_ws(' ', kind, state, step_name, step_key, op, arrival, root, lane, route, priority, fence, \
    convert_from(result, 'UTF8'), created_at IS NULL, started_at IS NULL, completed_at IS NULL) \
    FROM stent.tasks WHERE kind = 'step'";

#[test]
fn a_commit_has_the_rows_and_the_record_and_a_replay_finds_it() {
    let url = fresh();
    let ran = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&ran);
    let house = house(
        &url,
        Box::new(move |task, token, client, runtime| {
            counts.fetch_add(1, SeqCst);
            task.progress("1".into()).unwrap();
            runtime.block_on(client.say(&format!("BEGIN; {}; COMMIT", record(token))));
            // What the worker records between the commit and the step's end goes on from what it knows itself.
            task.progress("2".into()).unwrap();
            runtime.block_on(async {
                let begin = Instant::now();
                while client.count("execution_progress").await != "2" {
                    assert!(begin.elapsed() < super::AT_ONCE, "it is not recorded");
                }
            });
        }),
    );
    house.function("compares", |task| {
        let begun = task.step_begin("charge", None)?;
        if !begun.recorded {
            task.step_end(begun.op, Ok("{\"paid\": 5.0}".into()))?;
        }
        task.complete(Payload::null())
    });
    let _worker = house.worker(2);
    let id = house.dispatch("pay", "[]");
    assert_eq!(text(&house.result(id).unwrap()), "{\"paid\": 5.0}");
    assert_eq!((ran.load(SeqCst), house.on(money(&url)).as_str()), (1, "1"));
    let snapshot = house.on(house.executor.state(id)).unwrap();
    let said = snapshot.execution.progress.iter().filter(|entry| entry.detail.is_some()).count();
    assert_eq!(said, 2, "{:?}", snapshot.execution.progress);
    let client = house.on(Client::of(&url));
    let by_sql = house.on(client.one(STEP));
    assert_eq!(house.on(client.count("requests")), "0");
    house.on(client.say("DELETE FROM stent.tasks"));
    house.run("compares", "[]").unwrap();
    assert_eq!(by_sql, house.on(client.one(STEP)));
}

#[test]
fn a_rollback_has_neither_and_the_step_fails() {
    let url = fresh();
    let house = house(
        &url,
        Box::new(|_, token, client, runtime| {
            runtime.block_on(client.say(&format!("BEGIN; {}; ROLLBACK", record(token))));
        }),
    );
    let _worker = house.worker(2);
    let why = house.run("pay", "[]").unwrap_err();
    assert_eq!(why.failure().unwrap().kind, "Declined");
    assert_eq!(house.on(money(&url)), "0");
    // A savepoint undoes both too.
    let url = fresh();
    let house = self::house(
        &url,
        Box::new(|_, token, client, runtime| {
            runtime.block_on(client.say(&format!("BEGIN; SAVEPOINT s; {}; ROLLBACK TO s; COMMIT", record(token))));
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(house.run("pay", "[]").unwrap_err().failure().unwrap().kind, "Declined");
    assert_eq!(house.on(money(&url)), "0");
}

/// Nothing is committed with it.
pub(super) fn refused(
    url: &str,
    client: &Client,
    runtime: &tokio::runtime::Runtime,
    sql: &str,
    state: &str,
    detail: &str,
) {
    let why = runtime.block_on(client.run(sql)).unwrap_err();
    assert_eq!((why.state.as_str(), why.detail.as_str()), (state, detail), "{why:?}");
    drop(runtime.block_on(client.run("ROLLBACK")));
    assert_eq!(runtime.block_on(money(url)), "0");
}

const LOST: (&str, &str) = ("55006", "STENT_E_LEASE_LOST");

#[test]
fn who_has_lost_the_task_records_nothing() {
    // The fence as another worker's claim leaves it: before it is said, and between that and the commit.
    for late in [false, true] {
        let url = fresh();
        let place = url.clone();
        let house = house(
            &url,
            Box::new(move |task, token, client, runtime| {
                if task.info().fence > 1 {
                    return runtime.block_on(client.say(&format!("BEGIN; {}; COMMIT", record(token))));
                }
                runtime.block_on(async {
                    client.say("BEGIN").await;
                    if late {
                        client.say(&record(token)).await;
                    }
                    Client::of(&place)
                        .await
                        .say("UPDATE stent.tasks SET fence = fence + 1, lease_expires_at = now()")
                        .await;
                });
                let then = if late { "COMMIT".to_owned() } else { record(token) };
                refused(&place, client, runtime, &then, LOST.0, LOST.1);
            }),
        );
        let _worker = house.worker(2);
        assert_eq!(text(&house.run("pay", "[]").unwrap()), "{\"paid\": 5.0}");
        assert_eq!(house.on(money(&url)), "1", "late: {late}");
    }
}

#[test]
fn what_is_cancelled_records_nothing() {
    for late in [false, true] {
        let url = fresh();
        let place = url.clone();
        let house = house(
            &url,
            Box::new(move |task, token, client, runtime| {
                runtime.block_on(async {
                    client.say("BEGIN").await;
                    if late {
                        client.say(&record(token)).await;
                    }
                    Client::of(&place).await.cancel(task.info().execution_id, None).await.unwrap();
                });
                let then = if late { "COMMIT".to_owned() } else { record(token) };
                refused(&place, client, runtime, &then, "57014", "STENT_E_CANCELLED");
            }),
        );
        let _worker = house.worker(2);
        let id = house.dispatch("pay", "[]");
        let ended = house.on(house.executor.wait(id, SOON)).unwrap();
        assert_eq!((ended.execution.state, house.on(money(&url)).as_str()), (ExecutionState::Cancelled, "0"));
    }
}

#[test]
fn of_two_transactions_with_one_token_one_is_committed() {
    let url = fresh();
    let place = url.clone();
    let house = house(
        &url,
        Box::new(move |_, token, client, runtime| {
            let other = runtime.block_on(Client::of(&place));
            runtime.block_on(async {
                client.say(&format!("BEGIN; {}", record(token))).await;
                other.say(&format!("BEGIN; {}; COMMIT", record(token))).await;
            });
            for (client, sql) in [(client, "COMMIT".to_owned()), (&other, record(token))] {
                let why = runtime.block_on(client.run(&sql)).unwrap_err();
                assert_eq!((why.state.as_str(), why.detail.as_str()), ("23505", "STENT_E_CONFLICT"), "{why:?}");
            }
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "{\"paid\": 5.0}");
    assert_eq!(house.on(money(&url)), "1");
}

#[test]
fn a_commit_after_the_steps_end_fails() {
    let url = fresh();
    let place = url.clone();
    let house = house_of(
        &url,
        Box::new(move |task, op, token, client, runtime| {
            runtime.block_on(client.say(&format!("BEGIN; {}", record(token))));
            task.transaction_end(op, Failure::new("Gone", "the connection is lost"))?;
            refused(&place, client, runtime, "COMMIT", "23505", "STENT_E_CONFLICT");
            Ok(())
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(house.run("pay", "[]").unwrap_err().failure().unwrap().kind, "Gone");
    assert_eq!(house.on(money(&url)), "0");
}

/// Waits until so many wait for a lock of `waits`.
fn until_waiting(url: &str, count: usize) {
    let runtime = runtime();
    let watcher = runtime.block_on(Client::of(url));
    let sql = format!(
        "SELECT count(DISTINCT a.pid)::text FROM pg_stat_activity AS a WHERE a.wait_event_type = 'Lock' AND a.pid IN \
        (SELECT l.pid FROM pg_locks AS l WHERE l.relation = '\"{}\".waits'::regclass)",
        watcher.schema
    );
    let begin = Instant::now();
    while runtime.block_on(watcher.one(&sql)).parse::<usize>().unwrap() < count {
        assert!(begin.elapsed() < super::AT_ONCE, "{count} do not wait");
    }
}

#[test]
fn a_commit_that_comes_between_the_look_and_the_end_is_the_one_that_counts() {
    let url = fresh();
    let place = url.clone();
    let house = house_of(
        &url,
        Box::new(move |task, op, token, client, runtime| {
            let others = self::runtime();
            let holder = others.block_on(Client::of(&place));
            others.block_on(async {
                // Two wait for a row that is there in the order in which they came.
                holder.say("INSERT INTO stent.waits (task_id) SELECT id FROM stent.tasks ON CONFLICT DO NOTHING").await;
                holder.say("BEGIN; SELECT FROM stent.waits FOR UPDATE").await;
            });
            runtime.block_on(client.say(&format!("BEGIN; {}", record(token))));
            std::thread::scope(|scope| {
                let commits = scope.spawn(|| runtime.block_on(client.say("COMMIT")));
                until_waiting(&place, 1);
                // As a worker locks, in this order: the commit holds none of these while it waits.
                others.block_on(holder.say("SELECT FROM stent.tasks FOR UPDATE"));
                let ends = scope.spawn(|| task.transaction_end(op, Failure::new("Gone", "the connection is lost")));
                until_waiting(&place, 2);
                others.block_on(holder.say("COMMIT"));
                commits.join().unwrap();
                ends.join().unwrap()
            })
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "{\"paid\": 5.0}");
    assert_eq!(house.on(money(&url)), "1");
}

#[test]
fn what_is_no_token_or_no_result_is_refused() {
    let url = fresh();
    let place = url.clone();
    let house = house(
        &url,
        Box::new(move |_, token, client, runtime| {
            let other = token.replacen(&token[2..10], "00000000", 1);
            for (call, state, detail) in [
                ("NULL".to_owned(), "22023", "STENT_E_INVALID"),
                ("''".to_owned(), "22023", "STENT_E_INVALID"),
                (format!("'{token}x'"), "22023", "STENT_E_INVALID"),
                (format!("'{}'", &token[..40]), "22023", "STENT_E_INVALID"),
                (format!("'{token}', '{{'"), "22023", "STENT_E_INVALID"),
                (format!("'{token}', ''"), "22023", "STENT_E_INVALID"),
                (format!("'{other}'"), LOST.0, LOST.1),
            ] {
                refused(&place, client, runtime, &alone(&call), state, detail);
            }
            runtime.block_on(client.say(&format!("{}; COMMIT", alone(&format!("'{token}', '[1]'::jsonb")))));
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "[1]");
}

#[test]
fn names_of_any_letters_are_recorded_as_the_library_reads_them() {
    let url = fresh();
    let place = url.clone();
    let house = House::at(&url);
    house.function("pay", move |task| {
        for key in ["größe", "\u{1f4b0}", "a.b"] {
            let begun = task.transaction_begin("zählen", Some(key))?;
            if let Some(token) = &begun.token {
                let runtime = runtime();
                let client = runtime.block_on(Client::of(&place));
                runtime.block_on(client.say(&format!("{}; COMMIT", alone(&format!("'{token}'")))));
                task.transaction_end(begun.op, Failure::new("Never", ""))?;
            }
            task.sleep(Duration::from_millis(5), Some(&format!("after {key}")))?;
            assert_eq!(task.result(begun.op)?, Payload::null());
        }
        task.complete(Payload::null())
    });
    let _worker = house.worker(2);
    assert_eq!(house.run("pay", "[]").unwrap(), Payload::null());
}

#[test]
fn a_role_that_may_record_steps_can_do_nothing_else() {
    let url = fresh();
    let house = house(
        &url,
        Box::new(move |_, token, owner, runtime| {
            let role = format!("steps_{}", owner.schema);
            let as_role = shared().url.replace("//stent@", &format!("//{role}@"));
            let schema = &owner.schema;
            let app = runtime.block_on(async {
                owner.say(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA \"{schema}\" TO {role}")).await;
                Client::at(&as_role, schema).await
            });
            let call = format!("SELECT stent.record_step('{token}', '1')");
            assert_eq!(runtime.block_on(app.run(&call)).unwrap_err().state, "42501");
            runtime.block_on(owner.say(&format!("GRANT EXECUTE ON FUNCTION stent.record_step(text, text) TO {role}")));
            for sql in [
                "SELECT stent.sql_record_step('', '1')",
                "SELECT stent.dispatch('pay')",
                "DELETE FROM stent.tasks",
                "TABLE stent.requests",
            ] {
                assert_eq!(runtime.block_on(app.run(sql)).unwrap_err().state, "42501", "{sql}");
            }
            runtime.block_on(app.say(&format!("{}; COMMIT", alone(&format!("'{token}', '1'")))));
        }),
    );
    let _worker = house.worker(2);
    assert_eq!(text(&house.run("pay", "[]").unwrap()), "1");
}

/// Set for a worker's process: the store, and where it is to be killed.
const DIES: &str = "STENT_TEST_STEP_DIES";

fn impatient(house: &House) -> Worker {
    let soon = Duration::from_millis(50);
    house.worker_with(WorkerOptions {
        lease_duration: Duration::from_secs(1),
        poll_interval: soon,
        poll_interval_max: soon,
        ..WorkerOptions::default()
    })
}

fn die() -> ! {
    let me = std::process::id().to_string();
    Command::new("kill").args(["-9", &me]).status().unwrap();
    unreachable!("it has been killed")
}

fn start_to_die(url: &str, place: &str) -> Child {
    let test = "plain_sql::steps::what_a_killed_process_has_committed_is_done_once";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIES, format!("{place} {url}"))
        .env("STENT_TEST_POSTGRES", &shared().url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_a_killed_process_has_committed_is_done_once() {
    if let Ok(told) = std::env::var(DIES) {
        let (place, url) = told.split_once(' ').unwrap();
        let place = place.to_owned();
        let house = house(
            url,
            Box::new(move |_, token, client, runtime| {
                runtime.block_on(client.say(&format!("BEGIN; {}", record(token))));
                if place == "after" {
                    runtime.block_on(client.say("COMMIT"));
                }
                die();
            }),
        );
        let _worker = impatient(&house);
        // Its end comes from within, or it has failed.
        std::thread::sleep(super::AT_ONCE);
        std::process::exit(1);
    }
    for (place, again) in [("before", 1), ("after", 0)] {
        let url = fresh();
        let ran = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&ran);
        let house = house(
            &url,
            Box::new(move |_, token, client, runtime| {
                counts.fetch_add(1, SeqCst);
                runtime.block_on(client.say(&format!("BEGIN; {}; COMMIT", record(token))));
            }),
        );
        let id: Id = house.dispatch("pay", "[]");
        let status = start_to_die(&url, place).wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
        let _worker = impatient(&house);
        assert_eq!(text(&house.result(id).unwrap()), "{\"paid\": 5.0}", "killed {place} the commit");
        assert_eq!((ran.load(SeqCst), house.on(money(&url)).as_str()), (again, "1"), "killed {place} the commit");
    }
}
