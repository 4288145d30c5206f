//! On a custom store that answers the engine's operations itself.

use std::time::Duration;

use stent::backend::{Function, NewWorker};
use stent::model::{DispatchOptions, Feature, FunctionOptions, HoldOf, Rate, RetryAfter, Status};

use crate::around::{around, around_with};
use crate::house::{House, until};

/// Such a store keeps no list of functions: this process's own workers tell, where there are no others.
#[test]
fn a_wait_for_what_nobody_has_registered_says_so() {
    let house = House::with(|store| around(store, true));
    let id = house.dispatch("chrage", "[]");
    let told = || house.on(house.executor.wait(id, Some(Duration::ZERO))).unwrap_err().message().to_owned();
    assert!(
        told().ends_with("no worker has registered 'chrage', nor any other function, and none is running"),
        "{}",
        told()
    );
    house.echo("charge");
    let worker = house.worker(1);
    let said = "no worker has registered 'chrage'; did you mean 'charge'? These have been registered: charge";
    until("it knows of the worker", || told().ends_with(said));
    house.on(worker.stop(None)).unwrap();
    until("it knows that it is gone", || told().ends_with("and none is running"));
}

/// Nobody but the store's own functions could record it in the handler's transaction.
#[test]
fn a_step_in_a_transaction_of_the_handler_s_own_is_refused() {
    let house = House::with(|store| around(store, true));
    house.function("pay", |task| {
        let why = task.transaction_begin("charge", None).unwrap_err();
        assert_eq!(why.status(), Status::Unsupported);
        assert!(
            why.message().ends_with("needs a store on SQLite or PostgreSQL, and this one is of kind custom"),
            "{why}"
        );
        // It has not begun, and its name is free.
        assert_eq!(task.step_begin("charge", None)?.op, 1);
        task.step_end(1, Ok("1".into()))?;
        task.complete("2".into())
    });
    let _worker = house.worker(1);
    assert_eq!(house.run("pay", "[]").unwrap(), "2".into());
}

/// What it could not keep it is never given; the attempt goes on.
#[test]
fn a_hold_of_others_is_refused() {
    let house = House::with(|store| around_with(store, true, &[Feature::KeyLimits]).unwrap());
    house.function("ask", |task| {
        let why = task.hold(HoldOf::Key, RetryAfter::Text("30".into())).unwrap_err();
        assert_eq!(why.status(), Status::Unsupported);
        assert!(
            why.message().ends_with("needs a store that keeps rates, and this one, of kind custom, does not"),
            "{why}"
        );
        task.complete("2".into())
    });
    let _worker = house.worker(1);
    assert_eq!(house.run("ask", "[]").unwrap(), "2".into());
}

/// Each option that needs a feature, and the feature.
fn of_functions() -> [(&'static str, FunctionOptions, Feature); 3] {
    let rate = Some(Rate { limit: 1, period: 1.0, burst: 1 });
    let plain = FunctionOptions::default;
    [
        ("max_concurrent_per_key", FunctionOptions { max_concurrent_per_key: Some(1), ..plain() }, Feature::KeyLimits),
        ("rate", FunctionOptions { rate: rate.clone(), ..plain() }, Feature::Rates),
        ("rate_per_key", FunctionOptions { rate_per_key: rate, ..plain() }, Feature::Rates),
    ]
}

fn worker_of(options: FunctionOptions) -> NewWorker {
    let functions = vec![Function { name: "charge".into(), options }];
    NewWorker { worker_id: "w".into(), queues: Vec::new(), tags: Vec::new(), functions, queue_rates: [].into() }
}

#[test]
fn what_the_store_has_not_named_among_its_features_is_refused_before_it_is_asked() {
    for (key, options, feature) in of_functions() {
        let others: Vec<Feature> = Feature::ALL.iter().copied().filter(|other| *other != feature).collect();
        let house = House::with(|store| around_with(store, true, &others).unwrap());
        let why = house.on(house.backend.register_worker(worker_of(options.clone()))).unwrap_err();
        assert_eq!(why.status(), Status::Unsupported);
        assert!(why.message().contains(key) && why.message().contains(feature.as_str()), "{why}");
        assert_eq!(house.on(house.backend.stats()).unwrap().workers, 0);
        let house = House::with(|store| around_with(store, true, &[feature]).unwrap());
        house.on(house.backend.register_worker(worker_of(options))).unwrap();
    }
    let rate = Rate { limit: 1, period: 1.0, burst: 1 };
    let of_queue = || NewWorker {
        queue_rates: [("mail".to_owned(), Some(rate.clone()))].into(),
        ..worker_of(FunctionOptions::default())
    };
    for (features, status) in [(vec![Feature::KeyLimits], Some(Status::Unsupported)), (vec![Feature::Rates], None)] {
        let house = House::with(|store| around_with(store, true, &features).unwrap());
        let registered = house.on(house.backend.register_worker(of_queue()));
        assert_eq!(registered.as_ref().err().map(stent::model::Error::status), status);
        assert!(registered.err().is_none_or(|why| why.message().contains("leave out queue_rates")));
    }
    let unique = || DispatchOptions { unique_key: Some("k".into()), ..DispatchOptions::default() };
    let house = House::with(|store| around_with(store, true, &[Feature::KeyLimits, Feature::Rates]).unwrap());
    let why = house.on(house.executor.dispatch("charge", "[]".into(), unique())).unwrap_err();
    assert_eq!(why.status(), Status::Unsupported);
    assert!(why.message().contains("unique_keys") && why.message().ends_with("nothing was started"), "{why}");
    assert!(house.on(house.backend.stats()).unwrap().executions.is_empty());
    let house = House::with(|store| around_with(store, true, &[Feature::UniqueKeys]).unwrap());
    let dispatched = || house.on(house.executor.dispatch("charge", "[]".into(), unique())).unwrap();
    assert_eq!(dispatched(), dispatched());
}

#[test]
fn features_need_the_engines_operations() {
    let house = House::with(|store| {
        let why = around_with(store.clone(), false, &[Feature::Rates]).err().unwrap();
        assert_eq!(why.status(), Status::Invalid);
        assert!(why.message().contains("engine's operations"), "{why}");
        store
    });
    drop(house);
}

/// Who asks why a task does not begin is answered by the store, through its function.
#[test]
fn a_wait_for_a_slot_of_such_a_store_says_what_it_waits_for() {
    let house = House::with(|store| around(store, true));
    let options = FunctionOptions { max_concurrent_per_key: Some(1), ..FunctionOptions::default() };
    house.on(house.backend.register_worker(worker_of(options))).unwrap();
    let keyed = || {
        let mut options = DispatchOptions::default();
        options.task.concurrency_key = Some("customer-7".into());
        house.on(house.executor.dispatch("charge", "[]".into(), options)).unwrap()
    };
    let (_first, second) = (keyed(), keyed());
    let why = house.on(house.executor.wait(second, Some(Duration::ZERO))).unwrap_err();
    assert!(why.message().contains("customer-7"), "{why}");
}
