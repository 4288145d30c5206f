//! What handlers may do, and what becomes of their errors and panics.

mod house;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use house::{Here, PATIENCE, wait_for};
use opentelemetry::trace::TraceContextExt as _;
use scenarios::{ADD, CHARGE, GREET, HELLO};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stent::{
    CheckOptions, CustomOptions, CustomStore, DeclareOptions, DispatchOptions, Executor, Failure, Function,
    FunctionOptions, Level, LogOptions, Rate, RetryPolicy, Schedule, Signal, Status, StopSignals, Store,
    TriggerOptions, WorkerOptions,
};

fn once() -> FunctionOptions {
    FunctionOptions::new().retry_policy(RetryPolicy::new().max_attempts(1u32))
}

fn says_hello(here: &Here) {
    assert_eq!(here.executor.dispatch(&HELLO, ("ada".to_owned(),)).unwrap().result(PATIENCE).unwrap(), "hello, ada");
}

#[test]
fn schedules_are_declared() -> stent::Result<()> {
    let here = Here::sqlite();
    let executor = &here.executor;
    executor.register(&Function::<(String,), String>::new("hello"), |_, (name,)| Ok(format!("hello, {name}")))?;
    let hourly = Schedule::new().name("hourly").function("hello").args(vec![json!("ada")]);
    let hourly = hourly.cron("0 * * * *").time_zone("Europe/Berlin");
    executor.declare_schedules("billing", &[hourly], &DeclareOptions::new().remove_others(true))?;
    let _worker = here.worker();
    let tick = executor.trigger_schedule("hourly", &TriggerOptions::new())?.remove(0);
    let started = executor.execution::<String>(tick.execution_id.unwrap());
    assert_eq!(started.result(PATIENCE)?, "hello, ada");
    Ok(())
}

#[test]
fn a_queue_starts_no_more_often_than_its_rate_says() {
    let here = Here::sqlite();
    let mail = |rate: Option<Rate>| WorkerOptions::new().queue_rates([("mail".to_owned(), rate)]);
    let hourly = Rate::new().limit(1u32).period(Duration::from_secs(3600)).burst(2u32);
    let _worker = here.worker_as(&mail(Some(hourly)));
    let into = DispatchOptions::new().queue("mail");
    let send = || here.executor.dispatch_with(&HELLO, ("ada".to_owned(),), &into).unwrap();
    let [first, second, third] = [send(), send(), send()];
    for started in [first, second] {
        assert_eq!(started.result(PATIENCE).unwrap(), "hello, ada");
    }
    let why = third.result(Some(Duration::from_millis(200))).unwrap_err();
    assert_eq!(why.status(), Status::Timeout);
    let _other = here.worker_as(&mail(None));
    assert_eq!(third.result(PATIENCE).unwrap(), "hello, ada");
}

#[test]
fn closures_are_owned_and_freed_once() {
    let here = Here::sqlite();
    let held = Arc::new(());
    let counted = Function::<(), ()>::new("counted");
    let register = |held: Arc<()>| {
        here.executor.register(&counted, move |_, ()| {
            let _ = &held;
            Ok(())
        })
    };
    register(held.clone()).unwrap();
    assert_eq!(register(held.clone()).unwrap_err().status(), Status::Conflict);
    assert_eq!(Arc::strong_count(&held), 2);
    drop(here);
    wait_for("nothing is left of them", || Arc::strong_count(&held) == 1);
}

#[test]
fn whatever_a_handler_ends_by_fails_its_task_and_the_program_lives() {
    let here = Here::sqlite();
    let panics = Function::<(), ()>::new("panics");
    let asks = Function::<(), ()>::new("asks");
    let wraps = Function::<(), ()>::new("wraps");
    let executor = here.executor.clone();
    here.executor.register_with(&panics, &once(), |_, ()| panic!("out of {}", "ink")).unwrap();
    here.executor
        .register_with(&asks, &once(), move |_, ()| {
            executor.execution::<()>("no uuid").state()?;
            Ok(())
        })
        .unwrap();
    here.executor
        .register(&wraps, |task, ()| Err(Wrapped(task.call(&CHARGE, ("42".into(),)).unwrap_err()).into()))
        .unwrap();
    let _worker = here.worker();
    let panicked = here.failure(&panics, ());
    assert_eq!((panicked.kind.as_str(), panicked.message.as_str()), ("panic", "out of ink"));
    let asked = here.failure(&asks, ());
    assert_eq!(asked.kind, "INVALID");
    assert!(asked.message.contains("no uuid"), "{asked}");
    let wrapped = here.failure(&wraps, ());
    assert_eq!((wrapped.kind.as_str(), wrapped.message.as_str()), ("CardDeclined", "no receipt"));
    let untyped = Function::<Vec<Value>, Value>::named(ADD.name());
    let bad = here.failure(&untyped, vec![json!(1)]);
    assert_eq!(bad.kind, "BadArguments");
    assert!(bad.message.contains("2 are expected"), "{bad}");
    says_hello(&here);
}

/// An error of the user's, with another as its cause.
#[derive(Debug)]
struct Wrapped(stent::Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("no receipt")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// It is recorded what the operation gives, and the log tells who swallows.
#[test]
fn a_suspension_that_is_swallowed_suspends_all_the_same() {
    let here = Here::sqlite();
    let swallows = Function::<(), String>::new("swallows");
    let panics = Function::<(), String>::new("panics");
    here.executor
        .register(&swallows, |task, ()| {
            let greeting = task.call(&GREET, ("ada".into(),)).or_else(|_| task.call(&GREET, ("ada".into(),)));
            Ok(greeting.unwrap_or_else(|_| "nothing".to_owned()))
        })
        .unwrap();
    here.executor.register(&panics, |task, ()| Ok(task.call(&GREET, ("ada".into(),)).unwrap())).unwrap();
    let warned = Arc::new(AtomicU32::new(0));
    let counter = warned.clone();
    let log = move |level, line: stent::LogLine| {
        counter.fetch_add(u32::from(level == Level::Warn && line.message.contains("by `?`")), SeqCst);
    };
    here.executor.set_log_handler(&LogOptions::new().level("warn"), log).unwrap();
    let _worker = here.worker();
    for function in [swallows, panics] {
        assert_eq!(here.executor.dispatch(&function, ()).unwrap().result(PATIENCE).unwrap(), "hello, ada");
    }
    wait_for("the log tells who swallows", || warned.load(SeqCst) >= 1);
}

#[test]
fn steps_are_recorded_and_their_failures_as_they_say() {
    let here = Here::sqlite();
    let runs = Arc::new(AtomicU32::new(0));
    let steps = Function::<(), Vec<String>>::new("steps");
    let counted = runs.clone();
    here.executor
        .register(&steps, move |task, ()| {
            let number = task.step("number", || Ok(counted.fetch_add(1, SeqCst)))?;
            let refused = task.step::<()>("refused", || Err(Failure::new("Refused", "no").not_retryable().into()));
            let kind = refused.unwrap_err().failure().map(|failure| failure.kind.clone());
            if task.info()?.attempt == 1 {
                task.step::<()>("breaks", || Err(io::Error::other("paper jam").into())).unwrap_err();
            }
            task.call(&GREET, ("ada".into(),))?;
            Ok(vec![number.to_string(), kind.unwrap_or_default()])
        })
        .unwrap();
    let _worker = here.worker();
    assert_eq!(here.executor.dispatch(&steps, ()).unwrap().result(PATIENCE).unwrap(), ["0", "Refused"]);
    assert_eq!(runs.load(SeqCst), 1);
}

#[test]
fn a_task_starts_over_and_its_values_are_the_same_in_every_run() {
    let here = Here::sqlite();
    let countdown = Function::<(u32,), Vec<Value>>::new("countdown");
    let own = countdown.clone();
    here.executor
        .register(&own, |task, (left,)| {
            if left > 0 {
                task.continue_with((left - 1,))?;
                return Ok(Vec::new());
            }
            let values = || Ok::<_, stent::Error>([json!(task.now()?), json!(task.random()?), json!(task.uuid()?)]);
            let [now, random, uuid] = values()?;
            let before = task.step("seen", || Ok((random.clone(), uuid.clone())))?;
            task.sleep(std::time::Duration::from_millis(10))?;
            Ok(vec![json!(task.info()?.run), json!(before == (random, uuid)), now])
        })
        .unwrap();
    let _worker = here.worker_as(&WorkerOptions::new().hold("0s"));
    let came = here.executor.dispatch(&countdown, (2,)).unwrap().result(PATIENCE).unwrap();
    assert_eq!(came[1], json!(true));
}

/// Hands everything on to a store of the library.
struct Through(Store);

impl CustomStore for Through {
    fn answer(&self, operation: &str, request: &str) -> Result<String, (Status, String)> {
        // To the letter: a Value would round what it can't hold.
        let request: Box<RawValue> = serde_json::from_str(request).map_err(|why| (Status::Backend, why.to_string()))?;
        let answer: Box<RawValue> =
            self.0.call(operation, &request).map_err(|why| (why.status(), why.message().to_owned()))?;
        Ok(answer.get().to_owned())
    }
}

#[test]
fn a_store_of_ones_own_is_checked_and_carries_executions() {
    let through = || Store::custom(Through(Store::open(":memory:").unwrap()), &CustomOptions::new()).unwrap();
    let report = through().check(&CheckOptions::new().only(["records"])).unwrap();
    assert!(report.passed > 0 && report.failed == 0, "{report:?}");
    assert_eq!(report.level, "protocol");

    let executor = Executor::new(&through()).unwrap();
    scenarios::register(&executor).unwrap();
    let worker = executor.start_worker(&WorkerOptions::new()).unwrap();
    assert_eq!(executor.dispatch(&HELLO, ("ada".into(),)).unwrap().result(PATIENCE).unwrap(), "hello, ada");
    worker.stop(PATIENCE).unwrap();
}

#[test]
fn the_rest_of_the_client_does_what_it_says() {
    let here = Here::sqlite();
    let _worker = here.worker();
    let list = (0..3).map(|n| (n, n));
    let many = here.executor.dispatch_many(&ADD, list, &Default::default()).unwrap();
    let sums: Vec<i64> = many.iter().map(|each| each.result(PATIENCE).unwrap()).collect();
    assert_eq!(sums, [0, 2, 4]);
    let filter = stent::ExecutionFilter::new().function(ADD.name()).limit(2u32);
    assert_eq!(here.executor.list(&filter).unwrap().len(), 2);
    here.executor.pause(&stent::PauseOptions::new().queue("mail").reason("the relay is down")).unwrap();
    let into_queue = stent::DispatchOptions::new().queue("mail");
    let waits = here.executor.dispatch_with(&ADD, (1, 2), &into_queue).unwrap();
    let pauses = here.executor.pauses().unwrap();
    assert_eq!((pauses.len(), pauses[0].queue.as_deref(), pauses[0].running), (1, Some("mail"), 0));
    assert_eq!(waits.state().unwrap().state, "pending");
    here.executor.unpause(&stent::UnpauseOptions::new().queue("mail")).unwrap();
    assert_eq!(waits.result(PATIENCE).unwrap(), 3);
    let twice = here.executor.unpause(&stent::UnpauseOptions::new().queue("mail")).unwrap_err();
    assert_eq!(twice.status(), Status::NotFound);
    here.failure(&CHARGE, ("42".into(),));
    let letters = here.executor.dead_letters(&Default::default()).unwrap();
    let again = here.executor.replay_dead_letter::<()>(&letters[0].task.id).unwrap();
    assert_eq!(again.result(PATIENCE).unwrap_err().status(), Status::Failed);
    let copy = here.file("copy.db");
    here.store.backup(&copy).unwrap();
    assert!(here.executor.stats(&stent::StatsOptions::new().format("prometheus")).unwrap().contains("stent_"));
    let copied = Executor::new(&Store::open(&copy).unwrap()).unwrap();
    assert_eq!(copied.list(&filter).unwrap().len(), 2);
    let cleaned = here.executor.cleanup(&stent::CleanupOptions::new().older_than("0s")).unwrap();
    assert!(cleaned.executions >= 3, "{cleaned:?}");
    let wrong = here.executor.start_worker_as(&json!({"leases": 1})).err().unwrap();
    assert_eq!(wrong.status(), Status::Invalid);
    assert!(wrong.message().contains("lease_duration") || !wrong.details().is_null(), "{wrong}");
}

/// What makes no sense now makes none at the next attempt.
#[test]
fn a_mistake_of_a_handler_is_final() {
    let here = Here::sqlite();
    let hasty = RetryPolicy::new().max_attempts(3u32).initial_delay("1ms").jitter(0.0);
    let hasty = FunctionOptions::new().retry_policy(hasty);
    let tries = Arc::new(AtomicU32::new(0));
    let mistake = |name: &'static str, make: fn(&stent::Task) -> stent::HandlerResult<Value>| {
        let (function, tries) = (Function::<(), Value>::new(name), tries.clone());
        let tried = move |task: &stent::Task, ()| {
            tries.fetch_add(1, SeqCst);
            make(task)
        };
        here.executor.register_with(&function, &hasty, tried).unwrap();
        function
    };
    let mistakes = [
        mistake("bad key", |task| {
            let options = stent::CallOptions::new().key("a#b");
            Ok(json!(task.call_with(&GREET, ("ada".into(),), &options)?))
        }),
        mistake("no such value", |task| {
            let no_key = std::collections::BTreeMap::from([((1, 2), 3)]);
            task.progress(&no_key)?;
            Ok(Value::Null)
        }),
        mistake("sends nan", |task| {
            let takes = Function::<(f64,), f64>::named(ADD.name());
            Ok(json!(task.call(&takes, (f64::NAN,))?))
        }),
        mistake("tells nan", |task| {
            task.state_set("rate", &[Some(1.5), Some(f32::INFINITY)])?;
            Ok(Value::Null)
        }),
        mistake("nan in a step", |task| Ok(json!(task.step("rate", || Ok(Rates { rates: vec![(1, f64::NAN)] }))?))),
        mistake("counts nan", |task| Ok(json!(task.counter_add("rate", f64::NAN)?))),
        mistake("another type", |task| {
            let number = Function::<(String,), u32>::named(GREET.name());
            Ok(json!(task.call(&number, ("ada".into(),))?))
        }),
    ];
    let nan = Function::<(), Rates>::new("nan");
    here.executor.register_with(&nan, &hasty, |_, ()| Ok(Rates { rates: vec![(1, -f64::INFINITY)] })).unwrap();
    let _worker = here.worker();
    let failure = here.failure(&nan, ());
    assert_eq!(failure.kind, "INVALID");
    assert!(failure.message.contains("JSON has no -inf"), "{failure}");
    for function in mistakes {
        let before = tries.load(SeqCst);
        let failure = here.failure(&function, ());
        assert!(!failure.retryable && failure.kind == "INVALID", "{failure:?}");
        // Twice: once until what it asked for was there.
        let tried = tries.load(SeqCst) - before;
        assert!(tried <= 2, "{} was tried {tried} times", function.name());
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Rates {
    rates: Vec<(u32, f64)>,
}

/// Before anything is dispatched.
#[test]
fn numbers_that_json_has_no_form_for_are_refused_where_they_are_written() {
    let here = Here::sqlite();
    let takes = Function::<(Rates,), Value>::new("takes");
    let refused = here.executor.dispatch(&takes, (Rates { rates: vec![(1, f64::NAN)] },)).err().unwrap();
    assert_eq!(refused.status(), Status::Invalid);
    assert!(refused.message().contains("JSON has no NaN"), "{refused}");
    let policy = RetryPolicy::new().backoff_factor(f64::INFINITY);
    let options = FunctionOptions::new().retry_policy(policy);
    assert_eq!(
        here.executor.register_with(&takes, &options, |_, _| Ok(json!(1))).unwrap_err().status(),
        Status::Invalid
    );
    assert!(here.executor.list(&Default::default()).unwrap().is_empty());
}

#[test]
fn what_runs_is_followed() {
    let here = Here::sqlite();
    let steps = Function::<(), ()>::new("steps");
    here.executor
        .register(&steps, |task, ()| {
            for i in 1..=3 {
                task.progress(&i)?;
                task.wait_signal::<Value>("on")?;
            }
            Ok(task.state_set("last", &3)?)
        })
        .unwrap();
    let _worker = here.worker();
    let execution = here.executor.dispatch(&steps, ()).unwrap();
    let mut seen = Vec::new();
    for line in execution.progress() {
        let detail = line.unwrap().detail;
        if !detail.is_null() {
            seen.push(detail);
            execution.signal("on", &()).unwrap();
        }
    }
    assert_eq!(seen, [1, 2, 3]);
    let states: Vec<String> = execution.changes().map(|record| record.unwrap().state).collect();
    assert_eq!(states, ["completed"]);
    let unknown = here.executor.execution::<()>("01a210df-9a02-7182-a63d-008935dcabca");
    let told: Vec<_> = unknown.changes().map(|told| told.unwrap_err().status()).collect();
    assert_eq!(told, [Status::NotFound]);
}

#[test]
fn a_function_is_taken_back() {
    let here = Here::sqlite();
    let says = |what: &'static str| here.executor.register(&GREET_ANEW, move |_, ()| Ok(what.to_owned()));
    says("old").unwrap();
    here.executor.unregister(&GREET_ANEW).unwrap();
    assert_eq!(here.executor.unregister(&GREET_ANEW).unwrap_err().status(), Status::NotFound);
    says("new").unwrap();
    let _worker = here.worker();
    assert_eq!(here.executor.dispatch(&GREET_ANEW, ()).unwrap().result(PATIENCE).unwrap(), "new");
}

const GREET_ANEW: Function<(), String> = Function::new("greet_anew");

#[test]
fn a_signal_has_a_type_and_a_task_its_trace() {
    const ORDER: Function<(), Option<String>> = Function::new("order");
    const PAID: Signal<(u32, String)> = Signal::new("paid");
    const SEEN: Signal<bool> = Signal::new("seen");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let host = stent::testing::host(|executor| {
        executor.register(&ORDER, |task, ()| {
            let seen = task.spawn_receive(&SEEN, &Default::default())?;
            let (cents, _) = task.receive(&PAID)?;
            assert!(cents == 7 && task.wait(seen)?);
            Ok(task.traceparent())
        })
    });
    let traced = host.dispatch_with(&ORDER, (), &DispatchOptions::new().traceparent(trace)).unwrap();
    let untraced = host.dispatch(&ORDER, ()).unwrap();
    for execution in [&traced, &untraced] {
        execution.send(&SEEN, &true).unwrap();
        execution.send(&PAID, &(7, "cents".to_owned())).unwrap();
    }
    assert_eq!(traced.result(PATIENCE).unwrap().as_deref(), Some(trace));
    assert_eq!(untraced.result(PATIENCE).unwrap(), None);
}

/// As OpenTelemetry's own crate sees it, in the handler, in its steps and in what it calls.
#[test]
fn a_tasks_trace_is_the_current_one_while_its_handler_runs() {
    const PARENT: Function<(), [String; 4]> = Function::new("traced");
    const CHILD: Function<(), String> = Function::new("traced_child");
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let here = || {
        let context = opentelemetry::Context::current();
        let found = context.span().span_context().clone();
        format!("{} {} {}", found.trace_id(), found.span_id(), found.is_sampled() && found.is_remote())
    };
    let nowhere = here();
    let host = stent::testing::host(|executor| {
        executor.register(&CHILD, move |_, ()| Ok(here()))?;
        executor.register(&PARENT, move |task, ()| {
            Ok([here(), task.step("inside", || Ok(here()))?, task.call(&CHILD, ())?, here()])
        })
    });
    let options = DispatchOptions::new().traceparent(format!("00-{trace}-{span}-01"));
    let traced = host.dispatch_with(&PARENT, (), &options).unwrap().result(PATIENCE).unwrap();
    assert_eq!(traced, std::array::from_fn::<_, 4, _>(|_| format!("{trace} {span} true")));
    // A thread that has run one is as it was.
    let untraced = host.run(&PARENT, ()).unwrap();
    assert_eq!(untraced, std::array::from_fn::<_, 4, _>(|_| nowhere.clone()));
}

#[test]
fn a_test_has_a_worker_in_one_line() {
    let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (begins, ends, slow) = (begun.clone(), ended.clone(), Function::<(u32,), u32>::new("slow"));
    let options = WorkerOptions::new().max_concurrency(1u32);
    let host = stent::testing::host_with(&options, |executor| {
        executor.register(&slow, move |_, (n,)| {
            begins.fetch_add(1, SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            ends.fetch_add(1, SeqCst);
            Ok(n + 1)
        })
    });
    assert_eq!(host.run(&slow, (7,)).unwrap(), 8);
    assert_eq!((host.worker().status().unwrap().slots, host.store().clone().handle().is_null()), (1, false));
    host.dispatch(&slow, (8,)).unwrap();
    wait_for("the handler runs", || begun.load(SeqCst) == 2);
    drop(host);
    // Whoever dropped it has waited for it.
    assert_eq!(ended.load(SeqCst), 2);
    let wrong = std::panic::catch_unwind(|| {
        stent::testing::host(|executor| executor.register(&Function::new(""), |_, ()| Ok(())))
    });
    assert!(wrong.is_err());
}

#[test]
fn a_worker_works_until_a_signal_comes_and_what_runs_comes_to_its_end() {
    let here = Here::sqlite();
    let slow = Function::<(), String>::new("slow");
    let (begun, may_end) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (begins, ends) = (begun.clone(), may_end.clone());
    here.executor
        .register(&slow, move |_, ()| {
            begins.store(1, SeqCst);
            wait_for("it may end", || ends.load(SeqCst) == 1);
            Ok("done".to_owned())
        })
        .unwrap();
    let mut caught = StopSignals::catch_these(&[libc::SIGUSR1]).unwrap();
    assert_eq!(StopSignals::catch().err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(caught.wait(Some(std::time::Duration::from_micros(1))).unwrap(), None);
    let worker = here.worker();
    let execution = here.executor.dispatch(&slow, ()).unwrap();
    wait_for("the handler runs", || begun.load(SeqCst) == 1);
    // SAFETY: a signal to this process, which catches it.
    assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) }, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            worker.0.wait("draining", PATIENCE).unwrap();
            may_end.store(1, SeqCst);
        });
        assert_eq!(worker.0.run_until_signal(&mut caught, PATIENCE).unwrap(), Some(libc::SIGUSR1));
    });
    assert_eq!(worker.0.status().unwrap().state, "stopped");
    assert_eq!(execution.result(PATIENCE).unwrap(), "done");
    // One that has stopped by itself is not waited for.
    assert_eq!(worker.0.run_until_signal(&mut caught, PATIENCE).unwrap(), None);
    drop(caught);
    StopSignals::catch_these(&[libc::SIGUSR1]).unwrap();
}
