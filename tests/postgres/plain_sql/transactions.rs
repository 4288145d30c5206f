//! In the caller's transaction: with the caller's rows or not at all, and workers know it by the commit.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stent::executor::Worker;
use stent::model::{DispatchOptions, ExecutionState, Id, WaitSignalOptions, WorkerOptions};

use super::{AT_ONCE, Client};
use crate::house::{House, SOON, text, until};
use crate::postgres::{fresh_url, shared};

/// A worker that finds nothing by polling while a test lasts.
fn patient_worker(house: &House) -> Worker {
    let seldom = Duration::from_secs(600);
    let worker = house.worker_with(WorkerOptions {
        poll_interval: seldom,
        poll_interval_max: seldom,
        ..WorkerOptions::default()
    });
    // Its first looks are over, and it has heard of itself.
    assert_eq!(house.run("echo", "[0]").unwrap(), "[0]".into());
    worker
}

/// A store with such a worker, and a client of it.
fn working() -> (House, Worker, Client) {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let worker = patient_worker(&house);
    let client = house.on(Client::of(&url));
    (house, worker, client)
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn state(house: &House, id: Id) -> Option<ExecutionState> {
    house.on(house.backend.snapshot(id)).unwrap().map(|snapshot| snapshot.execution.state)
}

fn ends_at_once(house: &House, id: Id) -> stent::model::Payload {
    let begin = Instant::now();
    let result = house.result(id).unwrap();
    assert!(begin.elapsed() < AT_ONCE, "it was found by a poll: {:?}", begin.elapsed());
    result
}

#[test]
fn a_commit_wakes_a_worker_and_a_rollback_leaves_nothing() {
    let (house, _worker, client) = working();
    house.on(async {
        client.say("CREATE TABLE stent.orders (number int)").await;
        client.say("BEGIN; INSERT INTO stent.orders VALUES (1)").await;
    });
    let lost = house.on(client.dispatch("echo", "[1]", "{\"idempotency_key\": \"k\"}")).unwrap();
    house.on(client.say("ROLLBACK"));
    house.on(client.say("BEGIN; INSERT INTO stent.orders VALUES (2)"));
    // The key is free again, and a function that nobody has dispatched there before has a new route.
    let kept =
        house.on(client.dispatch("echo", "[2.50]", "{\"idempotency_key\": \"k\", \"tags\": [\"new\"]}")).unwrap();
    assert_eq!(state(&house, kept), None, "it is nobody's before the commit");
    house.on(client.say("COMMIT"));
    assert_eq!(text(&ends_at_once(&house, kept)), "[2.50]");
    assert_eq!(state(&house, lost), None);
    assert_eq!(house.on(client.count("orders")), "1");
    assert_eq!(kept.get_version_num(), 7);
}

#[test]
fn a_delay_counts_from_the_call_and_its_end_is_not_polled_for() {
    let (house, _worker, client) = working();
    let begin = Instant::now();
    let id = house.on(client.dispatch("echo", "[1]", "{\"delay\": 1.5}")).unwrap();
    let expires = house.on(client.dispatch("nobody", "[1]", "{\"expiry\": 1.5}")).unwrap();
    ends_at_once(&house, id);
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
    until("it has expired", || state(&house, expires) == Some(ExecutionState::TimedOut));
    assert!(begin.elapsed() < AT_ONCE);
}

#[test]
fn what_is_rolled_back_to_a_savepoint_is_not_there() {
    let (house, _worker, client) = working();
    house.on(client.say("BEGIN"));
    let first = house.on(client.dispatch("echo", "[1]", "{}")).unwrap();
    house.on(client.say("SAVEPOINT s"));
    let second = house.on(client.dispatch("echo", "[2]", "{\"idempotency_key\": \"k\", \"queue\": \"q\"}")).unwrap();
    house.on(client.say("ROLLBACK TO s; SAVEPOINT t"));
    // A refusal, too, is undone with its savepoint, and the transaction goes on.
    house.on(client.dispatch("echo", "{}", "{}")).unwrap_err();
    house.on(client.say("ROLLBACK TO t"));
    let third = house.on(client.dispatch("echo", "[3]", "{\"idempotency_key\": \"k\", \"queue\": \"q\"}")).unwrap();
    house.on(client.say("COMMIT"));
    assert_eq!(text(&ends_at_once(&house, first)), "[1]");
    assert_eq!(text(&ends_at_once(&house, third)), "[3]");
    assert_eq!(state(&house, second), None);
}

#[test]
fn a_trigger_dispatches_for_each_row() {
    let (house, _worker, client) = working();
    let ids = house.on(async {
        client
            .say(
                "CREATE TABLE stent.orders (number int PRIMARY KEY, price numeric, execution uuid);
                CREATE FUNCTION stent.on_order() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    NEW.execution := stent.dispatch(
                        'echo', json_build_array(NEW.number, NEW.price), json_build_object('idempotency_key', 'order-' || NEW.number)
                    );
                    RETURN NEW;
                END $$;
                CREATE TRIGGER on_order BEFORE INSERT ON stent.orders FOR EACH ROW EXECUTE FUNCTION stent.on_order();
                INSERT INTO stent.orders (number, price) SELECT n, n + 0.10 FROM generate_series(1, 20) AS g (n)",
            )
            .await;
        client.one("SELECT string_agg(execution::text, ' ' ORDER BY number) FROM stent.orders").await
    });
    for (number, execution) in (1..).zip(ids.split(' ')) {
        assert_eq!(text(&ends_at_once(&house, id(execution))), format!("[{number}, {number}.10]"));
    }
}

#[test]
fn a_caller_that_is_killed_in_its_transaction_has_dispatched_nothing() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let _worker = patient_worker(&house);
    let client = house.on(Client::of(&url));
    house.on(client.say("CREATE TABLE stent.orders (number int)"));
    let mut psql = Command::new("psql")
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", &shared().url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = psql.stdin.take().unwrap();
    let schema = client.schema.clone();
    let script = format!(
        "BEGIN; INSERT INTO {schema}.orders VALUES (1); SELECT {schema}.dispatch('echo', '[1]', '{{\"idempotency_key\": \"k\"}}');\n"
    );
    says.write_all(script.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(psql.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    let lost = id(answer.trim());
    psql.kill().unwrap();
    psql.wait().unwrap();
    drop(says);
    // Its key is free as soon as the server knows.
    let next = house.on(client.dispatch("echo", "[2]", "{\"idempotency_key\": \"k\"}")).unwrap();
    assert_eq!(text(&ends_at_once(&house, next)), "[2]");
    assert_eq!((state(&house, lost), house.on(client.count("orders")).as_str()), (None, "0"));
}

#[test]
fn of_two_sessions_with_one_key_the_second_gets_the_firsts_execution() {
    let url = fresh_url("");
    let house = House::at(&url);
    let (one, two) = house.on(async { (Client::of(&url).await, Client::of(&url).await) });
    let key = "{\"idempotency_key\": \"k\"}";
    for (ends, same) in [("ROLLBACK", false), ("COMMIT", true)] {
        house.on(one.say("BEGIN"));
        let first = house.on(one.dispatch("f", "[1]", key)).unwrap();
        let second = house.on(async {
            let schema = two.schema.clone();
            let waits = format!(
                "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{schema}%dispatch%'"
            );
            let other = async {
                // It waits for the first one's end.
                let watcher = Client::of(&url).await;
                let begin = Instant::now();
                while watcher.one(&waits).await == "0" {
                    assert!(begin.elapsed() < AT_ONCE, "the second does not wait");
                }
                one.say(ends).await;
            };
            let (second, ()) = tokio::join!(two.dispatch("f", "[ 1 ]", key), other);
            second.unwrap()
        });
        assert_eq!(first == second, same, "{ends}");
        if !same {
            house.on(two.say("TRUNCATE stent.executions, stent.tasks, stent.idempotency"));
        }
    }
    let why = house.on(two.dispatch("f", "[2]", key)).unwrap_err();
    assert_eq!((why.state.as_str(), why.detail.as_str()), ("23505", "STENT_E_CONFLICT"));
}

#[test]
fn a_key_of_sql_is_one_of_the_librarys_and_the_other_way_round() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let keyed = |key: &str| DispatchOptions { idempotency_key: Some(key.to_owned()), ..DispatchOptions::default() };
    let (own, other) = ("[{\"b\": 1.0, \"a\": \"\\u00e9\"}]", "[ {\"a\":\"\u{e9}\",\"b\":1.0} ]");
    let by_sql = house.on(client.dispatch("f", own, "{\"idempotency_key\": \"one\", \"kwargs\": {}}")).unwrap();
    assert_eq!(house.on(house.executor.dispatch("f", other.into(), keyed("one"))).unwrap(), by_sql);
    let by_library = house.on(house.executor.dispatch("f", own.into(), keyed("two"))).unwrap();
    assert_eq!(house.on(client.dispatch("f", other, "{\"idempotency_key\": \"two\"}")).unwrap(), by_library);
    let jsonb = "SELECT stent.dispatch('f', '[{\"b\": 1.0, \"a\": \"\u{e9}\"}]'::jsonb, '{\"idempotency_key\": \"two\"}')::text";
    assert_eq!(id(&house.on(client.one(jsonb))), by_library);
    for (key, args) in [("one", "[2]"), ("two", "[2]")] {
        let why = house.on(client.dispatch("f", args, &format!("{{\"idempotency_key\": \"{key}\"}}"))).unwrap_err();
        assert_eq!(why.state, "23505", "{key}");
        let why = house.on(house.executor.dispatch("f", args.into(), keyed(key))).unwrap_err();
        assert_eq!(why.status(), stent::model::Status::Conflict);
    }
}

#[test]
fn signals_and_cancels_go_with_the_transaction_and_hold_up_nobody() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    house.function("listens", |task| {
        let first = task.wait_signal("go", WaitSignalOptions::default())?;
        let second = task.wait_signal("go", WaitSignalOptions::default())?;
        task.complete(format!("[{},{}]", text(&first), text(&second)).into())
    });
    let worker = patient_worker(&house);
    let client = house.on(Client::of(&url));
    let listens = house.dispatch("listens", "[]");
    let cancelled = house.dispatch("listens", "[]");
    until("both wait", || {
        let waiting = "SELECT count(*)::text FROM stent.tasks WHERE kind = 'signal' AND state = 'waiting'";
        house.on(client.one(waiting)) == "2" && worker.status().held == 0
    });
    house.on(client.say("BEGIN"));
    house.on(client.signal(listens, "go", "0", "{}")).unwrap();
    house.on(client.cancel(cancelled, None)).unwrap();
    house.on(client.say("ROLLBACK"));

    house.on(client.say("BEGIN"));
    house.on(client.signal(listens, "go", "12345678901234567890.10", "{\"id\": \"a\"}")).unwrap();
    house.on(client.signal(listens, "go", "1", "{\"id\": \"a\"}")).unwrap();
    house.on(client.cancel(cancelled, Some("it is \u{7f} over"))).unwrap();
    // While that is open, what goes on there goes on: the library's own signal is taken, and nothing waits.
    let begin = Instant::now();
    let told = stent::backend::NewSignal { execution: listens, name: "go".to_owned(), payload: "2".into(), id: None };
    house.on(house.executor.signal(told)).unwrap();
    let taken = "SELECT count(*)::text FROM stent.tasks WHERE kind = 'signal' AND state = 'completed'";
    let other = house.on(Client::of(&url));
    until("it is taken", || house.on(other.one(taken)) == "1");
    assert_eq!(state(&house, cancelled), Some(ExecutionState::Running));
    house.on(client.say("COMMIT"));
    assert_eq!(text(&ends_at_once(&house, listens)), "[2,12345678901234567890.10]");
    let why = house.on(house.executor.wait(cancelled, SOON)).unwrap();
    assert_eq!(why.execution.state, ExecutionState::Cancelled);
    assert_eq!(why.cancel_reason.as_deref(), Some("it is \u{7f} over"));
    until("all is done that was asked for", || house.on(client.count("requests")) == "0");
    assert!(begin.elapsed() < AT_ONCE);
}

#[test]
fn what_is_dispatched_and_cancelled_in_one_transaction_is_undone() {
    let (house, _worker, client) = working();
    house.on(client.say("BEGIN"));
    let id = house.on(client.dispatch("nobody", "[1]", "{\"on_cancel\": \"echo\"}")).unwrap();
    house.on(client.signal(id, "go", "1", "{}")).unwrap();
    house.on(client.cancel(id, None)).unwrap();
    house.on(client.say("SAVEPOINT s"));
    assert_eq!(house.on(client.signal(id, "go", "2", "{}")).unwrap_err().state, "55000", "it is being cancelled");
    house.on(client.say("ROLLBACK TO s"));
    house.on(client.say("COMMIT"));
    let ended = house.on(house.executor.wait(id, SOON)).unwrap();
    assert_eq!(ended.execution.state, ExecutionState::Cancelled);
    // The cancel began with the commit, and so came before the signal.
    until("all is done that was asked for", || house.on(client.count("requests")) == "0");
    assert_eq!(house.on(client.count("signals")), "0");
    let undone = "SELECT coalesce(max(id::text), '') FROM stent.executions WHERE root_function = 'echo' AND convert_from(args, 'UTF8') LIKE '%cancelled%'";
    until("it is undone", || !house.on(client.one(undone)).is_empty());
}

#[test]
fn an_open_transaction_holds_up_no_other_dispatch_and_no_worker() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    house.on(client.say("BEGIN"));
    // A new route, a key and a request are all in there.
    let open = house.on(client.dispatch("echo", "[1]", "{\"queue\": \"new\", \"idempotency_key\": \"k\"}")).unwrap();
    house.on(client.cancel(open, None)).unwrap();
    let begin = Instant::now();
    let worker = house.worker(2);
    assert_eq!(house.run("echo", "[2]").unwrap(), "[2]".into());
    let other = house.on(Client::of(&url));
    let id = house.on(other.dispatch("echo", "[3]", "{\"queue\": \"newer\"}")).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[3]");
    house.on(worker.stop(SOON)).unwrap();
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    house.on(client.say("COMMIT"));
}

#[test]
fn transactions_that_see_one_moment_take_part_or_are_told_to_begin_again() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let _worker = patient_worker(&house);
    let (one, two) = house.on(async { (Client::of(&url).await, Client::of(&url).await) });
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let key = format!("{{\"idempotency_key\": \"{level}\", \"queue\": \"{level}\"}}");
        house.on(async {
            one.say(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM stent.executions")).await;
            two.say(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM stent.executions")).await;
        });
        let first = house.on(one.dispatch("echo", "[1]", &key)).unwrap();
        house.on(one.say("COMMIT"));
        assert_eq!(text(&ends_at_once(&house, first)), "[1]");
        // The other one has begun before, and can't see it.
        let why = house.on(two.dispatch("echo", "[1]", &key)).unwrap_err();
        assert_eq!(why.state, "40001", "{why:?}");
        house.on(two.say(&format!("ROLLBACK; BEGIN ISOLATION LEVEL {level}")));
        assert_eq!(house.on(two.dispatch("echo", "[1]", &key)).unwrap(), first);
        house.on(two.say("COMMIT"));
    }
    house.on(one.say("BEGIN READ ONLY"));
    let why = house.on(one.dispatch("echo", "[1]", "{}")).unwrap_err();
    assert_eq!(why.state, "25006", "{why:?}");
    house.on(one.say("ROLLBACK"));
}

#[test]
fn what_is_paused_is_dispatched_and_waits() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let _worker = patient_worker(&house);
    let queue = || stent::backend::Pausable::Queue("q".to_owned());
    let pause = stent::backend::NewPause { what: queue(), reason: None, by: None };
    let client = house.on(Client::of(&url));
    let early = house.on(client.dispatch("echo", "[0]", "{\"queue\": \"q\"}")).unwrap();
    ends_at_once(&house, early);
    house.on(house.executor.pause(pause)).unwrap();
    let held = house.on(client.dispatch("echo", "[1]", "{\"queue\": \"q\"}")).unwrap();
    let free = house.on(client.dispatch("echo", "[2]", "{}")).unwrap();
    ends_at_once(&house, free);
    assert_eq!(state(&house, held), Some(ExecutionState::Pending));
    house.on(house.executor.unpause(queue())).unwrap();
    assert_eq!(text(&ends_at_once(&house, held)), "[1]");
}

#[test]
fn an_execution_stays_where_something_is_asked_of_it() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let id = house.dispatch("nobody", "[]");
    house.on(client.signal(id, "go", "7", "{}")).unwrap();
    let why = house.on(house.backend.export(id, false)).unwrap_err();
    assert!(why.details().contains_key("later"), "{why}");
    until("it is signalled", || {
        house.on(house.backend.sweep("whoever")).unwrap();
        house.on(client.count("signals")) == "1"
    });
    house.on(house.backend.export(id, false)).unwrap();
    // Where it was it is not begun again.
    let why = house.on(client.dispatch("nobody", "[]", &format!("{{\"id\": \"{id}\"}}"))).unwrap_err();
    assert!(why.state == "23505" && why.told.contains("was exported"), "{why:?}");
    let why = house.on(client.signal(id, "go", "7", "{}")).unwrap_err();
    assert_eq!(why.state, "P0002");
}

#[test]
fn a_commit_that_asks_for_what_has_ended_meanwhile_fails_with_all_of_it() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    house.on(client.say("CREATE TABLE stent.orders (number int)"));
    let asks: [fn(Id) -> String; 2] =
        [|id| format!("SELECT stent.cancel('{id}')"), |id| format!("SELECT stent.signal('{id}', 'go')")];
    for asks in asks {
        let id = house.dispatch("echo", "[1]");
        house.on(client.say(&format!("BEGIN; INSERT INTO stent.orders VALUES (1); {}", asks(id))));
        let worker = house.worker(1);
        house.result(id).unwrap();
        house.on(worker.stop(SOON)).unwrap();
        let why = house.on(client.run("COMMIT")).unwrap_err();
        assert_eq!((why.state.as_str(), why.detail.as_str()), ("55000", "STENT_E_CONFLICT"), "{why:?}");
        assert_eq!(state(&house, id), Some(ExecutionState::Completed));
    }
    assert_eq!((house.on(client.count("orders")).as_str(), house.on(client.count("requests")).as_str()), ("0", "0"));
}

#[test]
fn from_a_cancels_commit_on_nothing_of_it_begins() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let client = house.on(Client::of(&url));
    let ids: Vec<Id> = (0..20).map(|_| house.dispatch("echo", "[1]")).collect();
    // In no order, and one of them twice.
    house.on(client.say("BEGIN"));
    for id in ids.iter().rev().chain(&ids[..1]) {
        house.on(client.cancel(*id, Some(&"\u{fc}".repeat(20_000)))).unwrap();
    }
    house.on(client.say("COMMIT"));
    // Nobody has swept.
    assert!(ids.iter().all(|id| state(&house, *id) == Some(ExecutionState::Cancelling)));
    let _worker = house.worker(4);
    for id in &ids {
        let ended = house.on(house.executor.wait(*id, SOON)).unwrap();
        assert_eq!(ended.execution.state, ExecutionState::Cancelled);
        let reason = ended.cancel_reason.unwrap();
        assert!(reason.len() <= 32 * 1024 && reason.ends_with(" (cut: 40000 bytes)") && reason.starts_with('\u{fc}'));
    }
}
