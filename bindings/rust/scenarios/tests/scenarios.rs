//! The lines of bindings/scenarios.md, each on both stores.

mod house;

use std::time::{Duration, Instant, SystemTime};

use house::{Here, PATIENCE, Said, SaidLine, wait_for};
use scenarios::{
    FAN_OUT, FLAKY, HELLO, HOLDER, INBOX, LEDGER, MARKS, ONCE, PURCHASE, PUT_OFF, RACE, RELAY, RETRIED, REVERSED,
    SEQUENCE, SLEEPER, THROWS, append_line, lines,
};
use serde_json::{Value, json};
use stent::{
    BackfillOptions, Bytes, DeadLetterFilter, DeclareOptions, DispatchOptions, Function, KeptSchedule, Level, Schedule,
    ScheduleFilter, SchedulePauseOptions, SignalOptions, Status, Tick, TriggerOptions, WorkerOptions,
};

on_both_stores! {
    hello, sequence, fan_out, race, sleep, signals, retry, snooze, failure, schedule, cancel, crash, idempotent, counters, bytes, drain,
    logging,
}

fn hello(here: &Here) {
    let _worker = here.worker();
    let execution = here.executor.dispatch(&HELLO, ("ada".to_owned(),)).unwrap();
    assert_eq!(execution.result(PATIENCE).unwrap(), "hello, ada");
}

fn sequence(here: &Here) {
    let _worker = here.worker();
    let execution = here.executor.dispatch(&SEQUENCE, (100,)).unwrap();
    assert_eq!(execution.result(PATIENCE).unwrap(), 115);
    let tasks = here.tasks(execution.id());
    assert_eq!(tasks.len(), 6);
    assert!(tasks.iter().all(|task| task.state == "completed"), "{tasks:?}");
}

fn fan_out(here: &Here) {
    let _worker = here.worker();
    assert_eq!(here.executor.dispatch(&FAN_OUT, (50,)).unwrap().result(PATIENCE).unwrap(), 42925);
}

fn race(here: &Here) {
    let _worker = here.worker();
    let run = |function: &str, args: Value, time: &str| {
        let args = args.as_array().unwrap().clone();
        here.executor.dispatch(&RACE, (function.to_owned(), args, time.to_owned())).unwrap().result(PATIENCE).unwrap()
    };
    assert_eq!(run("greet", json!(["ada"]), "1h"), json!({"winner": "call", "result": "hello, ada"}));
    let file = here.file("race");
    assert_eq!(run("until_cancelled", json!([file]), "3s"), json!({"winner": "sleep"}));
    wait_for("the loser is cancelled", || lines(&file).len() == 2);
    assert_eq!(lines(&file), ["started", "cancelled"]);
}

fn sleep(here: &Here) {
    let worker = here.worker();
    let execution = here.executor.dispatch(&SLEEPER, ("3s".to_owned(),)).unwrap();
    wait_for("it sleeps, and nothing runs", || {
        execution.state().unwrap().state == "running" && worker.0.status().unwrap().running == 0
    });
    let slept = execution.result(PATIENCE).unwrap();
    // RFC 3339 in UTC: what the store counts is told by its own clock.
    let seconds = |time: &Value| {
        let text = time.as_str().unwrap().trim_end_matches('Z');
        let (_, clock) = text.split_once('T').unwrap();
        clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
    };
    // Past midnight too.
    let length = (seconds(&slept["woke"]) - seconds(&slept["began"])).rem_euclid(86400.0);
    assert!(length >= 3.0, "it slept for {length} s only");
}

fn signals(here: &Here) {
    let _worker = here.worker();
    let execution = here.executor.dispatch(&INBOX, (3,)).unwrap();
    let send = |n: u32, options: SignalOptions| execution.signal_with("message", &json!({"n": n}), &options).unwrap();
    send(1, SignalOptions::new().id("a"));
    send(2, SignalOptions::new().id("b"));
    send(2, SignalOptions::new().id("b"));
    send(3, SignalOptions::new());
    assert_eq!(execution.result(PATIENCE).unwrap(), [json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]);
}

fn retry(here: &Here) {
    let _worker = here.worker();
    assert_eq!(here.executor.dispatch(&RETRIED, (2,)).unwrap().result(PATIENCE).unwrap(), 3);
}

fn snooze(here: &Here) {
    let _worker = here.worker();
    let began = Instant::now();
    let put_off = here.executor.dispatch(&PUT_OFF, ()).unwrap();
    assert_eq!(put_off.result(PATIENCE).unwrap(), (1, vec![1, 2]));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

fn failure(here: &Here) {
    let _worker = here.worker();
    let caught = here.executor.dispatch(&PURCHASE, ("42".to_owned(), true)).unwrap().result(PATIENCE).unwrap();
    let message = "the card 42 was declined";
    let expected =
        json!({"type": "CardDeclined", "message": message, "code": "card_declined", "details": {"card": "42"}});
    assert_eq!(caught, expected);

    let declined = here.failure(&PURCHASE, ("42".to_owned(), false));
    assert_eq!((declined.kind.as_str(), declined.message.as_str()), ("CardDeclined", message));
    assert_eq!((declined.code.as_deref(), &declined.details), (Some("card_declined"), &json!({"card": "42"})));
    assert!(!declined.retryable);

    let thrown = here.failure(&THROWS, ());
    assert_eq!((thrown.kind.as_str(), thrown.message.as_str()), ("std::io::error::Error", "out of paper"));
    assert!(thrown.stack.is_some_and(|stack| stack.contains("scenarios")), "run the tests with RUST_BACKTRACE=1");
    let filter = DeadLetterFilter::new().function(THROWS.name());
    assert_eq!(here.executor.dead_letters(&filter).unwrap().len(), 1);
    hello_again(here);
}

fn hello_again(here: &Here) {
    let execution = here.executor.dispatch(&HELLO, ("ada".to_owned(),)).unwrap();
    assert_eq!(execution.result(PATIENCE).unwrap(), "hello, ada");
}

fn schedule(here: &Here) {
    let hourly = |name: &str| {
        let plain = Schedule::new().name(name).function(HELLO.name()).args(vec![json!("ada")]);
        plain.cron("0 * * * *").time_zone("Europe/Berlin").owner("scenarios")
    };
    here.executor.put_schedule(&hourly("old")).unwrap();
    let alone = DeclareOptions::new().remove_others(true);
    here.executor.declare_schedules("scenarios", &[hourly("greeting")], &alone).unwrap();
    let _worker = here.worker();
    let kept = || -> KeptSchedule {
        let mut all = here.executor.schedules(&ScheduleFilter::new().next(2u32)).unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    };
    let first = kept();
    assert_eq!((first.name.as_str(), first.owner.as_deref()), ("greeting", Some("scenarios")));
    assert_eq!((first.time_zone.as_str(), first.next.len()), ("Europe/Berlin", 2));
    let ended = |tick: &Tick| {
        let id = tick.execution_id.clone().unwrap();
        assert_eq!(here.executor.execution::<String>(id).result(PATIENCE).unwrap(), "hello, ada");
    };
    let ticks = here.executor.trigger_schedule("greeting", &TriggerOptions::new()).unwrap();
    assert_eq!((ticks.len(), ticks[0].state.as_str()), (1, "started"));
    ended(&ticks[0]);

    here.executor.pause_schedule("greeting", &SchedulePauseOptions::new().note("enough")).unwrap();
    let paused = kept();
    assert_eq!((paused.pause_note.as_deref(), paused.next.len()), (Some("enough"), 0));
    here.executor.resume_schedule("greeting").unwrap();
    assert_eq!(kept().next.len(), 2);

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let range = BackfillOptions::new().from(rfc3339(now - 3 * 3600)).to(rfc3339(now)).overlap("allow");
    let ticks = here.executor.backfill_schedule("greeting", &range).unwrap();
    assert_eq!(ticks.len(), 3, "{ticks:?}");
    ticks.iter().for_each(ended);
    here.executor.delete_schedule("greeting").unwrap();
    assert_eq!(here.executor.delete_schedule("greeting").unwrap_err().status(), Status::NotFound);
}

/// Seconds since 1970 as a date.
fn rfc3339(seconds: u64) -> String {
    // Years that begin in March, so that a leap day is the last one.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (of_month, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn cancel(here: &Here) {
    let _worker = here.worker();
    let file = here.file("held");
    let execution = here.executor.dispatch(&HOLDER, (file.clone(),)).unwrap();
    wait_for("it has started", || lines(&file).len() == 1);
    execution.cancel(Some("enough")).unwrap();
    let record = execution.wait(PATIENCE).unwrap();
    assert_eq!((record.state.as_str(), record.cancel_reason.as_deref()), ("cancelled", Some("enough")));
    assert_eq!(execution.result(PATIENCE).unwrap_err().status(), Status::Cancelled);
    assert_eq!(lines(&file), ["started", "cancelled"]);
}

fn crash(here: &Here) {
    let file = here.file("marks");
    let first = here.process();
    let execution = here.executor.dispatch(&MARKS, (file.clone(), 5)).unwrap();
    wait_for("the third line", || lines(&file).len() == 3);
    first.tell(libc::SIGKILL);
    assert_eq!(first.code(), None);
    append_line(&format!("{file}.go"), "").unwrap();

    let second = here.process();
    assert_eq!(execution.result(PATIENCE).unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(lines(&file), ["1", "2", "3", "3", "4", "5"]);
    second.tell(libc::SIGTERM);
    assert_eq!(second.code(), Some(0));
}

fn idempotent(here: &Here) {
    let _worker = here.worker();
    let file = here.file("paid");
    let key = DispatchOptions::new().idempotency_key("k");
    let first = here.executor.dispatch_with(&ONCE, (file.clone(),), &key).unwrap();
    let second = here.executor.dispatch_with(&ONCE, (file.clone(),), &key).unwrap();
    assert_eq!(first.id(), second.id());
    let other = here.executor.dispatch_with(&ONCE, (here.file("other"),), &key);
    assert_eq!(other.err().map(|error| error.status()), Some(Status::Conflict));
    assert_eq!(first.result(PATIENCE).unwrap(), [1, 1]);
    assert_eq!(lines(&file), ["paid"]);
}

fn counters(here: &Here) {
    let _worker = here.worker();
    let execution = here.executor.dispatch(&LEDGER, (4,)).unwrap();
    let record = execution.wait(PATIENCE).unwrap();
    assert_eq!(json!(record.counters), json!({"items": 4, "total": 10}));
    assert_eq!(json!(record.state_values), json!({"last": {"i": 4}}));
    let told = record.progress.into_iter().map(|line| line.detail).filter(|detail| !detail.is_null());
    assert_eq!(told.collect::<Vec<_>>(), [1, 2, 3, 4].map(|i| json!({"i": i})));
}

fn bytes(here: &Here) {
    let _worker = here.worker();
    let reversed = |given: &[u8]| (REVERSED.name().to_owned(), vec![json!(Bytes::from(given))]);
    let typed: Function<_, Vec<Bytes>> = Function::named(RELAY.name());
    let relay = here.executor.dispatch(&typed, (vec![reversed(b"321"), reversed(b"\x00\xff")],)).unwrap();
    assert_eq!(relay.result(PATIENCE).unwrap(), [Bytes::from(b"123"), Bytes::from(b"\xff\x00")]);
    let alone = here.executor.dispatch(&REVERSED, (Bytes::from(br#"}1:"a"{"#),)).unwrap();
    assert_eq!(alone.result(PATIENCE).unwrap(), Bytes::from(br#"{"a":1}"#));
}

fn drain(here: &Here) {
    let file = here.file("marks");
    let mut first = here.process();
    let execution = here.executor.dispatch(&MARKS, (file.clone(), 5)).unwrap();
    wait_for("the third line", || lines(&file).len() == 3);
    first.tell(libc::SIGTERM);
    first.expect("draining");
    append_line(&format!("{file}.go"), "").unwrap();
    first.expect("stopped");
    assert_eq!(first.code(), Some(0));
    assert_eq!(lines(&file), ["1", "2", "3"]);

    let second = here.process();
    assert_eq!(execution.result(PATIENCE).unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(lines(&file), ["1", "2", "3", "4", "5"]);
    let tasks = here.tasks(execution.id());
    assert_eq!(tasks.len(), 6);
    assert!(tasks.iter().all(|task| task.retries == 0), "{tasks:?}");
    second.tell(libc::SIGTERM);
    assert_eq!(second.code(), Some(0));
}

/// What the facade is told from the start, by nobody's word: no test of this program gives the log to anybody.
fn logging(here: &Here) {
    let said = Said::of_this_process();
    let flaky = Function::<(String,), u32>::named(FLAKY.name());
    here.executor
        .register(&Function::<(), ()>::new("talks"), |task, ()| {
            task.log(Level::Info, "begun")?;
            task.log(Level::Debug, "hidden")?;
            task.sleep("1ms")?;
            Ok(task.log(Level::Warn, "slept")?)
        })
        .unwrap();
    let _worker = here.worker_as(&WorkerOptions::new().hold("0s"));
    let talks = here.executor.dispatch(&Function::<(), ()>::new("talks"), ()).unwrap();
    talks.result(PATIENCE).unwrap();
    let failed = here.executor.dispatch(&flaky, ("no number".to_owned(),)).unwrap();
    assert_eq!(failed.result(PATIENCE).unwrap_err().status(), Status::Failed);
    let retried = here.executor.dispatch(&RETRIED, (1,)).unwrap();
    assert_eq!(retried.result(PATIENCE).unwrap(), 2);

    let line = |execution: &str, begins: &str| {
        let line = |line: &SaidLine| line.facts["execution"] == execution && line.text.starts_with(begins);
        wait_for(begins, || said.lines().iter().any(line));
        let found: Vec<SaidLine> = said.lines().into_iter().filter(line).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    };
    let slept = line(talks.id(), "slept (");
    assert_eq!((slept.level, slept.target.as_str()), (log::Level::Warn, "stent::task"));
    assert_eq!(slept.facts["function"], "talks");
    // Once, though it ran twice.
    assert_eq!(line(talks.id(), "begun (").level, log::Level::Info);
    assert!(said.lines().iter().all(|line| line.level < log::Level::Debug));
    let dead = line(failed.id(), "the task is dead-lettered: BadArguments: ");
    assert_eq!((dead.level, dead.target.as_str()), (log::Level::Error, "stent::worker"));
    let again = line(retried.id(), "the attempt failed, and another follows in 20ms: Flaky: attempt 1 (");
    assert_eq!(again.level, log::Level::Warn);
    assert_eq!(
        [&again.facts["function"], &again.facts["attempt"], &again.facts["error"]],
        ["rust.flaky", "1", "Flaky"]
    );
    assert!(again.text.contains("attempt=1") && again.text.contains("retry_at=20"), "{}", again.text);
}
