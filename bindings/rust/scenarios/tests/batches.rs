//! Handlers that take many tasks in one call.

mod house;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::{Here, PATIENCE, Running, wait_for};
use serde_json::{Value, json};
use stent::{
    BatchItem, BatchOptions, BatchResult, DispatchOptions, Failure, Function, FunctionOptions, HandlerResult,
    RetryPolicy, Status, WorkerOptions,
};

on_both_stores! {
    each_task_of_a_batch_has_an_outcome_of_its_own,
}

fn hasty() -> FunctionOptions {
    FunctionOptions::new().retry_policy(RetryPolicy::new().max_attempts(3u32).initial_delay("1ms").jitter(0.0))
}

/// So many in one call, however long the first of them waits.
fn full(size: u32) -> BatchOptions {
    BatchOptions::new().size(size).wait("1h")
}

/// With room for every batch of these tests.
fn roomy(here: &Here) -> Running {
    here.worker_as(&WorkerOptions::new().max_concurrency(32u32))
}

fn failure(execution: &stent::Execution<impl serde::de::DeserializeOwned>) -> Failure {
    let error = execution.result(PATIENCE).map(drop).unwrap_err();
    assert_eq!(error.status(), Status::Failed, "{error}");
    error.failure().unwrap().clone()
}

fn each_task_of_a_batch_has_an_outcome_of_its_own(here: &Here) {
    let mixed = Function::<(String,), String>::new("mixed");
    let tries = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (counted, seen) = (tries.clone(), sizes.clone());
    here.executor
        .register_batch_with(&mixed, &BatchOptions::new().size(6u32).wait("300ms"), &hasty(), move |items| {
            let mut tries = counted.lock().unwrap();
            seen.lock().unwrap().push(items.len());
            let outcome = |name: &str, n: u32, item: &BatchItem<(String,)>| -> HandlerResult<String> {
                match (name, n) {
                    ("final", _) => Err(Failure::new("Refused", "no").code("51").not_retryable())?,
                    ("again", 1) => Err(io::Error::other("busy"))?,
                    ("never", _) => Err(io::Error::other("broken"))?,
                    ("later", 1) => {
                        item.snooze("1ms")?;
                        Ok("is not used".to_owned())
                    }
                    _ => {
                        assert_eq!(item.info()?.snoozes, u32::from(name == "later"));
                        Ok(format!("stored {name}"))
                    }
                }
            };
            let outcomes = items.iter().map(|item| {
                let name = &item.args.0;
                let n = *tries.entry(name.clone()).and_modify(|n| *n += 1).or_insert(1);
                outcome(name, n, item)
            });
            Ok(outcomes.collect())
        })
        .unwrap();
    // Before there is a worker: it finds all of them at once.
    let names = ["one", "final", "again", "never", "later", "two"].map(|name| (name.to_owned(),));
    let started = here.executor.dispatch_many(&mixed, names, &DispatchOptions::new()).unwrap();
    let _worker = roomy(here);
    for (execution, result) in [(0, "stored one"), (2, "stored again"), (4, "stored later"), (5, "stored two")] {
        assert_eq!(started[execution].result(PATIENCE).unwrap(), result);
    }
    let refused = failure(&started[1]);
    assert_eq!((refused.kind.as_str(), refused.code.as_deref()), ("Refused", Some("51")));
    let broken = failure(&started[3]);
    assert!(broken.kind.ends_with("io::error::Error") && broken.message == "broken", "{broken}");
    let wanted = [("again", 2), ("final", 1), ("later", 2), ("never", 3), ("one", 1), ("two", 1)];
    assert_eq!(*tries.lock().unwrap(), BTreeMap::from(wanted.map(|(name, n)| (name.to_owned(), n))));
    assert_eq!(sizes.lock().unwrap()[0], 6);
}

#[test]
fn a_batch_begins_when_it_is_full_or_its_first_task_has_waited() {
    let here = Here::sqlite();
    let (full_ones, few, at_once) =
        (Function::<(i64,), i64>::new("full"), Function::new("few"), Function::new("at once"));
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let options =
        [(&full_ones, full(3)), (&few, BatchOptions::new().size(20u32).wait("200ms")), (&at_once, BatchOptions::new())];
    for (function, options) in options {
        let sizes = sizes.clone();
        here.executor
            .register_batch(function, &options, move |items| {
                sizes.lock().unwrap().push(items.len());
                Ok(items.iter().map(|item: &BatchItem<(i64,)>| Ok(item.args.0 * item.args.0)).collect())
            })
            .unwrap();
    }
    let _worker = roomy(&here);
    let run = |function: &Function<(i64,), i64>, list: Vec<(i64,)>| -> Vec<i64> {
        let started = here.executor.dispatch_many(function, list, &DispatchOptions::new()).unwrap();
        started.iter().map(|each| each.result(PATIENCE).unwrap()).collect()
    };
    assert_eq!(run(&full_ones, (1..=6).map(|n| (n,)).collect()), [1, 4, 9, 16, 25, 36]);
    assert_eq!(*sizes.lock().unwrap(), [3, 3]);
    let began = Instant::now();
    assert_eq!(run(&few, vec![(7,), (8,)]), [49, 64]);
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(*sizes.lock().unwrap(), [3, 3, 2]);
    assert_eq!(run(&at_once, vec![(9,)]), [81]);
}

#[test]
fn what_the_whole_call_ends_by_counts_for_all_of_its_tasks() {
    let here = Here::sqlite();
    let (errs, panics, wrong) = (Function::new("errs"), Function::new("panics"), Function::<(), ()>::new("wrong"));
    let calls = Arc::new(AtomicU32::new(0));
    let counted = |calls: &Arc<AtomicU32>| {
        let calls = calls.clone();
        move || calls.fetch_add(1, SeqCst)
    };
    let count = counted(&calls);
    let err = move |_: &[BatchItem<()>]| -> BatchResult<()> {
        count();
        Err(io::Error::other("out of paper"))?
    };
    here.executor.register_batch_with(&errs, &full(2), &hasty(), err).unwrap();
    let count = counted(&calls);
    let panic = move |_: &[BatchItem<()>]| -> BatchResult<()> {
        count();
        panic!("out of {}", "ink")
    };
    here.executor.register_batch_with(&panics, &full(2), &hasty(), panic).unwrap();
    let count = counted(&calls);
    let one = move |_: &[BatchItem<()>]| -> BatchResult<()> {
        count();
        Ok(vec![Ok(())])
    };
    here.executor.register_batch_with(&wrong, &full(2), &hasty(), one).unwrap();
    let _worker = roomy(&here);
    for (function, kind, message, attempts) in [
        (&errs, "Error", "out of paper", 3),
        (&panics, "panic", "out of ink", 3),
        (&wrong, "INVALID", "1 outcomes for 2 tasks", 1),
    ] {
        calls.store(0, SeqCst);
        for execution in here.executor.dispatch_many(function, [(), ()], &DispatchOptions::new()).unwrap() {
            let why = failure(&execution);
            assert!(why.kind.ends_with(kind) && why.message.contains(message), "{why}");
        }
        assert_eq!(calls.load(SeqCst), attempts, "{message}");
    }
}

#[test]
fn arguments_that_cant_be_read_fail_their_task_alone() {
    let here = Here::sqlite();
    let squares = Function::<(i64,), i64>::new("squares");
    let given = Arc::new(AtomicUsize::new(0));
    let seen = given.clone();
    here.executor
        .register_batch_with(&squares, &full(3), &hasty(), move |items| {
            seen.store(items.len(), SeqCst);
            Ok(items.iter().map(|item| Ok(item.args.0 * item.args.0)).collect())
        })
        .unwrap();
    let _worker = roomy(&here);
    let untyped = Function::<Vec<Value>, i64>::new("squares");
    let list = [vec![json!(3)], vec![json!("three")], vec![json!(4)]];
    let started = here.executor.dispatch_many(&untyped, list, &DispatchOptions::new()).unwrap();
    assert_eq!(started[0].result(PATIENCE).unwrap(), 9);
    assert_eq!(failure(&started[1]).kind, "BadArguments");
    assert_eq!(started[2].result(PATIENCE).unwrap(), 16);
    assert_eq!(given.load(SeqCst), 2);
}

#[test]
fn an_item_has_what_is_known_of_its_task_and_can_be_cancelled_alone() {
    let here = Here::sqlite();
    let slow = Function::<(bool,), i64>::new("slow");
    let ready = Arc::new(AtomicU32::new(0));
    let told = ready.clone();
    here.executor
        .register_batch_with(&slow, &full(2), &hasty(), move |items| {
            assert_ne!(items[0].id()?, items[1].id()?);
            let outcomes = items.iter().map(|item| -> HandlerResult<i64> {
                let info = item.info()?;
                if info.attempt == 1 {
                    item.heartbeat(&"half")?;
                    return Err(io::Error::other("once more").into());
                }
                assert_eq!(info.heartbeat, json!("half"));
                assert_eq!(item.kwargs::<Value>()?, json!({"who": "ada"}));
                told.fetch_add(1, SeqCst);
                if item.args.0 {
                    wait_for("it is cancelled", || item.is_cancelled());
                }
                Ok(7)
            });
            Ok(outcomes.collect())
        })
        .unwrap();
    let _worker = roomy(&here);
    let named = DispatchOptions::new().kwargs(BTreeMap::from([("who".to_owned(), json!("ada"))]));
    let started = here.executor.dispatch_many(&slow, [(false,), (true,)], &named).unwrap();
    wait_for("the second attempts run", || ready.load(SeqCst) >= 1);
    started[1].cancel(None).unwrap();
    assert_eq!(started[0].result(PATIENCE).unwrap(), 7);
    assert_eq!(started[1].result(PATIENCE).unwrap_err().status(), Status::Cancelled);
}

#[test]
fn options_that_make_no_sense_are_refused_at_once() {
    let here = Here::sqlite();
    let nothing = Function::<(), ()>::new("nothing");
    let register = |options: &BatchOptions| {
        here.executor.register_batch(&nothing, options, |items| Ok(items.iter().map(|_| Ok(())).collect()))
    };
    let refused = register(&BatchOptions::new().size(0u32)).unwrap_err();
    assert!(refused.message().contains("size is 0"), "{refused}");
    register(&BatchOptions::new()).unwrap();
    assert_eq!(register(&BatchOptions::new()).unwrap_err().status(), Status::Conflict);
}
