//! Steps that run in a transaction of the handler's own: their rows and their records are there together, once.

mod house;

use std::ffi::{c_char, c_int};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once};
use std::{io, thread};

use house::{Here, PATIENCE, Running};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use stent::{
    Error, Executor, Failure, Function, FunctionOptions, HandlerResult, RetryPolicy, Status, Store, Task,
    TransactionOptions, WorkerOptions,
};
use tokio::runtime::{Builder, Runtime};

const ADDS: Function<(), i32> = Function::new("adds");

on_both_stores! {
    the_pages_function,
    a_replay_finds_the_record_and_runs_nothing,
    an_error_rolls_back_and_is_the_steps_failure,
    what_has_been_ended_within_is_not_recorded,
    a_failed_step_is_tried_again_where_the_policy_retries_children,
    a_panic_rolls_back_and_the_next_attempt_runs_it_again,
    a_commit_that_nobody_heard_of_is_found,
    who_has_lost_the_task_commits_nothing,
    what_is_cancelled_commits_nothing,
    what_the_database_refuses_for_others_sake_is_begun_again,
}

enum Driver {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// A connection of the program's own, by sqlx.
struct Bank {
    runtime: Runtime,
    driver: Driver,
    /// What comes between a commit that was carried out and the one who has asked for it.
    after_commit: fn() -> io::Result<()>,
}

type Entry = unsafe extern "C" fn(
    *mut libsqlite3_sys::sqlite3,
    *mut *mut c_char,
    *const libsqlite3_sys::sqlite3_api_routines,
) -> c_int;

/// The extension is in the library that the program has linked.
fn with_extension() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let init = stent::sys::stent_sqlite_init as *const ();
        // SAFETY: it is an entry point as SQLite wants it, with the types of another header.
        let init = unsafe { std::mem::transmute::<*const (), Entry>(init) };
        // SAFETY: it is one.
        assert_eq!(unsafe { libsqlite3_sys::sqlite3_auto_extension(Some(init)) }, 0);
    });
}

impl Bank {
    fn open(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let driver = match url.split_once("schema=") {
            Some((server, rest)) => {
                let mut connection = runtime.block_on(PgConnection::connect(server)).unwrap();
                let schema = rest.split('&').next().unwrap();
                let sql = format!("SET search_path TO {schema}");
                runtime.block_on(sqlx::query(AssertSqlSafe(sql)).execute(&mut connection)).unwrap();
                Driver::Postgres(connection)
            }
            None => {
                with_extension();
                let file = SqliteConnectOptions::new().filename(url).busy_timeout(PATIENCE.unwrap());
                Driver::Sqlite(runtime.block_on(file.connect()).unwrap())
            }
        };
        Self { runtime, driver, after_commit: || Ok(()) }
    }

    fn execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let query = AssertSqlSafe(sql.to_owned());
        match &mut self.driver {
            Driver::Postgres(bank) => self.runtime.block_on(sqlx::raw_sql(query).execute(bank)).map(|_| ()),
            Driver::Sqlite(bank) => self.runtime.block_on(sqlx::raw_sql(query).execute(bank)).map(|_| ()),
        }
    }

    fn number(&mut self, sql: &str) -> Result<i32, sqlx::Error> {
        let query = AssertSqlSafe(sql.to_owned());
        match &mut self.driver {
            Driver::Postgres(bank) => self.runtime.block_on(sqlx::query(query).fetch_one(bank))?.try_get(0),
            Driver::Sqlite(bank) => self.runtime.block_on(sqlx::query(query).fetch_one(bank))?.try_get(0),
        }
    }
}

// As docs/sql.md shows it.

impl stent::Connection for Bank {
    fn run(&mut self, sql: &str, parameters: &[&str]) -> HandlerResult<()> {
        let text = AssertSqlSafe(sql.to_owned());
        match &mut self.driver {
            Driver::Postgres(bank) => {
                let query = parameters.iter().fold(sqlx::query(text), |query, text| query.bind(*text));
                self.runtime.block_on(query.execute(bank))?;
            }
            Driver::Sqlite(bank) => {
                let query = parameters.iter().fold(sqlx::query(text), |query, text| query.bind(*text));
                self.runtime.block_on(query.execute(bank))?;
            }
        }
        if sql == "COMMIT" { Ok((self.after_commit)()?) } else { Ok(()) }
    }
}

fn withdraw(
    task: &Task,
    bank: &mut Bank,
    options: &TransactionOptions,
    account: i32,
    amount: i32,
) -> HandlerResult<i32> {
    let left = task.transaction_with("book", options, bank, |bank| {
        let sql =
            format!("UPDATE accounts SET balance = balance - {amount} WHERE number = {account} RETURNING balance");
        Ok(bank.number(&sql)?)
    })?;
    task.sleep("10ms")?;
    Ok(left)
}

/// How the store at the URL is told to the step.
fn options(url: &str) -> TransactionOptions {
    match url.split_once("schema=") {
        Some((_, rest)) => TransactionOptions::new().schema(rest.split('&').next().unwrap()),
        None => TransactionOptions::new().sqlite(),
    }
}

/// A table of the program's own beside the store's.
fn bank_of(here: &Here) -> Bank {
    let mut bank = Bank::open(&here.url);
    bank.execute("CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER)").unwrap();
    bank
}

fn accounts(here: &Here) -> i32 {
    Bank::open(&here.url).number("SELECT CAST(count(*) AS INTEGER) FROM accounts").unwrap()
}

/// Adds an account, and waits after it: so the handler runs twice.
fn adds(
    task: &Task,
    bank: &mut Bank,
    options: &TransactionOptions,
    mut then: impl FnMut() -> HandlerResult<()>,
) -> HandlerResult<i32> {
    let number = task.transaction_with("open", options, bank, |bank| {
        bank.execute("INSERT INTO accounts VALUES (7, 100)")?;
        then().map(|()| 7)
    })?;
    task.sleep("10ms")?;
    Ok(number)
}

/// Takes over soon what another one has left.
fn impatient() -> WorkerOptions {
    WorkerOptions::new().lease_duration("1s").poll_interval("20ms").poll_interval_max("50ms")
}

fn worker(here: &Here) -> Running {
    here.worker_as(&impatient())
}

fn tried(attempts: u32) -> FunctionOptions {
    FunctionOptions::new().retry_policy(RetryPolicy::new().max_attempts(attempts).initial_delay("1ms"))
}

fn the_pages_function(here: &Here) {
    bank_of(here).execute("INSERT INTO accounts VALUES (7, 100)").unwrap();
    let withdrawal = Function::<(), i32>::new("withdraw");
    let url = here.url.clone();
    here.executor
        .register(&withdrawal, move |task, ()| withdraw(task, &mut Bank::open(&url), &options(&url), 7, 30))
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&withdrawal, ()).unwrap().result(PATIENCE).unwrap(), 70);
    assert_eq!(Bank::open(&here.url).number("SELECT balance FROM accounts").unwrap(), 70);
}

fn a_replay_finds_the_record_and_runs_nothing(here: &Here) {
    drop(bank_of(here));
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let (url, counted) = (here.url.clone(), Arc::clone(&counts));
    here.executor
        .register(&ADDS, move |task, ()| {
            counted.0.fetch_add(1, SeqCst);
            adds(task, &mut Bank::open(&url), &options(&url), || {
                counted.1.fetch_add(1, SeqCst);
                Ok(())
            })
        })
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&ADDS, ()).unwrap().result(PATIENCE).unwrap(), 7);
    assert_eq!((accounts(here), counts.1.load(SeqCst)), (1, 1));
    assert!(counts.0.load(SeqCst) > 1, "it has run again from the top");
}

fn an_error_rolls_back_and_is_the_steps_failure(here: &Here) {
    drop(bank_of(here));
    let elsewhere = if here.url.contains("schema=") {
        TransactionOptions::new().schema("else\"where")
    } else {
        // Without the flag.
        TransactionOptions::new()
    };
    type Then = fn() -> HandlerResult<()>;
    let refuses: Then = || Err(Failure::new("Refused", "no").into());
    let fails: Then = || Err(io::Error::other("no").into());
    for (name, kind, options, then) in [
        ("refuses", "Refused", options(&here.url), refuses),
        ("fails", "std::io::error::Error", options(&here.url), fails),
        ("elsewhere", "sqlx_core::error::Error", elsewhere, (|| Ok(())) as Then),
    ] {
        let (function, told) = (Function::<(), i32>::named(name), Arc::new(AtomicU32::new(0)));
        let (url, counted) = (here.url.clone(), Arc::clone(&told));
        here.executor
            .register(&function, move |task, ()| {
                let done = adds(task, &mut Bank::open(&url), &options, then);
                let why = done.as_ref().err().and_then(|why| why.get().downcast_ref::<Error>());
                if why.is_some_and(|why| why.status() == Status::Failed) {
                    // It is recorded: a run after this one hears of the same.
                    counted.fetch_add(1, SeqCst);
                    task.sleep("10ms")?;
                }
                done
            })
            .unwrap();
        let _worker = worker(here);
        assert_eq!(here.failure(&function, ()).kind, kind);
        assert_eq!((accounts(here), told.load(SeqCst)), (0, 2), "{name}");
    }
}

fn what_has_been_ended_within_is_not_recorded(here: &Here) {
    drop(bank_of(here));
    let (function, url) = (Function::<(), i32>::named("ends"), here.url.clone());
    here.executor
        .register(&function, move |task, ()| {
            let ends = |bank: &mut Bank| {
                bank.execute("INSERT INTO accounts VALUES (7, 100)")?;
                bank.execute("ROLLBACK")?;
                Ok(7)
            };
            Ok(task.transaction_with("open", &options(&url), &mut Bank::open(&url), ends)?)
        })
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.failure(&function, ()).kind, "sqlx_core::error::Error");
    assert_eq!(accounts(here), 0);
}

/// Runs a function that does something else at its first try; how often it was tried.
fn tried_twice(here: &Here, policy: &FunctionOptions, first: fn() -> HandlerResult<()>) -> u32 {
    drop(bank_of(here));
    let bodies = Arc::new(AtomicU32::new(0));
    let (url, counted) = (here.url.clone(), Arc::clone(&bodies));
    here.executor
        .register_with(&ADDS, policy, move |task, ()| {
            adds(task, &mut Bank::open(&url), &options(&url), || {
                if counted.fetch_add(1, SeqCst) == 0 { first() } else { Ok(()) }
            })
        })
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&ADDS, ()).unwrap().result(PATIENCE).unwrap(), 7);
    assert_eq!(accounts(here), 1);
    bodies.load(SeqCst)
}

// By the policy it is tried again, as a child that has failed is.
fn a_failed_step_is_tried_again_where_the_policy_retries_children(here: &Here) {
    let policy = RetryPolicy::new().max_attempts(3u32).initial_delay("1ms").retry_children(true);
    let policy = FunctionOptions::new().retry_policy(policy);
    assert_eq!(tried_twice(here, &policy, || Err(io::Error::other("a deadlock").into())), 2);
}

fn a_panic_rolls_back_and_the_next_attempt_runs_it_again(here: &Here) {
    assert_eq!(tried_twice(here, &tried(3), || panic!("no")), 2);
}

fn a_commit_that_nobody_heard_of_is_found(here: &Here) {
    drop(bank_of(here));
    let url = here.url.clone();
    let lost = |bank: Bank| Bank { after_commit: || Err(io::Error::other("the connection is lost")), ..bank };
    // At once, and not by another attempt.
    here.executor
        .register_with(&ADDS, &tried(1), move |task, ()| {
            adds(task, &mut lost(Bank::open(&url)), &options(&url), || Ok(()))
        })
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&ADDS, ()).unwrap().result(PATIENCE).unwrap(), 7);
    assert_eq!(accounts(here), 1);
}

fn status_of(why: &stent::HandlerError) -> Option<Status> {
    why.get().downcast_ref::<Error>().map(Error::status)
}

fn who_has_lost_the_task_commits_nothing(here: &Here) {
    drop(bank_of(here));
    let (lost, told) = (AtomicBool::new(false), Arc::new(Mutex::new(None)));
    let (url, tells) = (here.url.clone(), Arc::clone(&told));
    here.executor
        .register(&ADDS, move |task, ()| {
            let mut bank = Bank::open(&url);
            if lost.swap(true, SeqCst) {
                return adds(task, &mut bank, &options(&url), || Ok(()));
            }
            // As another worker's claim leaves it.
            let over = if url.contains("schema=") { "lease_expires_at = now()" } else { "lease_until = 0" };
            bank.execute(&format!("UPDATE tasks SET fence = fence + 1, {over}"))?;
            let done = adds(task, &mut bank, &options(&url), || Ok(()));
            *tells.lock().unwrap() = done.as_ref().err().and_then(status_of);
            done
        })
        .unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&ADDS, ()).unwrap().result(PATIENCE).unwrap(), 7);
    assert_eq!((accounts(here), *told.lock().unwrap()), (1, Some(Status::LeaseLost)));
}

fn what_is_cancelled_commits_nothing(here: &Here) {
    drop(bank_of(here));
    let told = Arc::new(Mutex::new(None));
    let (url, tells, store) = (here.url.clone(), Arc::clone(&told), Store::open(&here.url).unwrap());
    let others = Executor::new(&store).unwrap();
    here.executor
        .register(&ADDS, move |task, ()| {
            others.execution::<i32>(task.info()?.execution_id).cancel(None)?;
            let done = adds(task, &mut Bank::open(&url), &options(&url), || Ok(()));
            *tells.lock().unwrap() = done.as_ref().err().and_then(status_of);
            done
        })
        .unwrap();
    let worker = worker(here);
    let ended = here.executor.dispatch(&ADDS, ()).unwrap().wait(PATIENCE).unwrap();
    // When no handler runs any more.
    drop(worker);
    assert_eq!((ended.state.as_str(), accounts(here)), ("cancelled", 0));
    assert_eq!(*told.lock().unwrap(), Some(Status::Cancelled));
}

/// Another one is in its way when it is begun for the first time.
struct Contended {
    bank: Bank,
    other: Bank,
    begins: u32,
}

impl stent::Connection for Contended {
    fn run(&mut self, sql: &str, parameters: &[&str]) -> HandlerResult<()> {
        self.begins += u32::from(sql.starts_with("BEGIN"));
        if sql != "BEGIN IMMEDIATE" || self.begins > 1 {
            return self.bank.run(sql, parameters);
        }
        self.other.execute(sql)?;
        let refused = self.bank.run(sql, parameters);
        self.other.execute("ROLLBACK")?;
        refused
    }
}

fn contended(task: &Task, url: &str, attempts: Option<u32>) -> HandlerResult<u32> {
    let mut bank = Contended { bank: Bank::open(url), other: Bank::open(url), begins: 0 };
    bank.bank.execute(match bank.bank.driver {
        Driver::Postgres(_) => "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        Driver::Sqlite(_) => "PRAGMA busy_timeout = 1",
    })?;
    let options = attempts.into_iter().fold(options(url), TransactionOptions::attempts);
    Ok(task.transaction_with("open", &options, &mut bank, |bank| {
        bank.bank.number("SELECT balance FROM accounts")?;
        if matches!(bank.other.driver, Driver::Postgres(_)) && bank.begins == 1 {
            bank.other.execute("UPDATE accounts SET balance = balance + 1")?;
        }
        bank.bank.execute("UPDATE accounts SET balance = balance - 30")?;
        Ok(bank.begins)
    })?)
}

fn what_the_database_refuses_for_others_sake_is_begun_again(here: &Here) {
    bank_of(here).execute("INSERT INTO accounts VALUES (7, 100)").unwrap();
    let (again, once) = (Function::<(), u32>::new("again"), Function::<(), u32>::new("once"));
    let url = here.url.clone();
    here.executor.register_with(&again, &tried(1), move |task, ()| contended(task, &url, None)).unwrap();
    let url = here.url.clone();
    here.executor.register_with(&once, &tried(1), move |task, ()| contended(task, &url, Some(1))).unwrap();
    let _worker = worker(here);
    assert_eq!(here.executor.dispatch(&again, ()).unwrap().result(PATIENCE).unwrap(), 2);
    let why = here.failure(&once, ());
    let is_refused = |told: &str| told.contains("could not serialize access") || told.contains("database is locked");
    assert!(is_refused(&why.message), "{}", why.message);
    // Of what was refused only the other one's has stayed.
    let left = if here.url.contains("schema=") { 72 } else { 70 };
    assert_eq!(Bank::open(&here.url).number("SELECT balance FROM accounts").unwrap(), left);
}

/// Set for a worker's process: the store, and where it is to be killed.
const DIES: &str = "STENT_TEST_STEP_DIES";

fn die() -> io::Result<()> {
    // SAFETY: to itself.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("it has been killed")
}

#[test]
fn what_a_killed_process_has_committed_is_done_once() {
    if let Ok(told) = std::env::var(DIES) {
        let (place, url) = told.split_once(' ').unwrap();
        let store = Store::open(url).unwrap();
        let executor = Executor::new(&store).unwrap();
        let (is_before, url) = (place == "before", url.to_owned());
        executor
            .register(&ADDS, move |task, ()| {
                let mut bank = Bank { after_commit: die, ..Bank::open(&url) };
                adds(task, &mut bank, &options(&url), || if is_before { Ok(die()?) } else { Ok(()) })
            })
            .unwrap();
        let _worker = executor.start_worker(&impatient()).unwrap();
        // Its end comes from within, or it has failed.
        thread::sleep(PATIENCE.unwrap());
        std::process::exit(1);
    }
    for (here, place, again) in [
        (Here::sqlite(), "before", 1),
        (Here::sqlite(), "after", 0),
        (Here::postgres(), "before", 1),
        (Here::postgres(), "after", 0),
    ] {
        drop(bank_of(&here));
        let started = here.executor.dispatch(&ADDS, ()).unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_a_killed_process_has_committed_is_done_once"])
            .env(DIES, format!("{place} {}", here.url))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
        assert_eq!(accounts(&here), i32::from(place == "after"));
        let bodies = Arc::new(AtomicU32::new(0));
        let (url, counted) = (here.url.clone(), Arc::clone(&bodies));
        here.executor
            .register(&ADDS, move |task, ()| {
                adds(task, &mut Bank::open(&url), &options(&url), || {
                    counted.fetch_add(1, SeqCst);
                    Ok(())
                })
            })
            .unwrap();
        let _worker = worker(&here);
        assert_eq!(started.result(PATIENCE).unwrap(), 7);
        assert_eq!((accounts(&here), bodies.load(SeqCst)), (1, again), "{}: killed {place} the commit", here.url);
    }
}
