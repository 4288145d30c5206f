//! What has arrived and when it is shown: waits, cancellation, news, the clock.

use super::*;

/// A machine that has committed calls of `f`, and its store.
fn fan_out(count: u32) -> (Machine, Store) {
    let mut store = Store::default();
    let mut machine = cold(&store);
    for _ in 0..count {
        machine.call("f", "[]").unwrap();
    }
    commit(&mut machine, &mut store);
    (machine, store)
}

/// The same handler in another worker.
fn again(store: &Store, count: u32) -> Machine {
    let mut machine = cold(store);
    for op in 1..=count {
        assert_eq!(machine.call("f", "[]").unwrap(), op);
    }
    machine
}

#[test]
fn all_waits_for_every_one_and_any_for_the_first() {
    let (mut machine, mut store) = fan_out(3);
    assert_eq!(machine.poll(&[1, 2, 3], WaitMode::All).unwrap(), waiting(WaitMode::All, &[1, 2, 3]));
    store.complete(3, "c");
    store.complete(1, "a");
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[1, 2, 3], WaitMode::All).unwrap(), waiting(WaitMode::All, &[2]));
    assert_eq!(machine.poll(&[1, 2, 3], WaitMode::Any).unwrap(), Poll::Ready { first: 3 });
    assert_eq!(machine.poll(&[1, 2], WaitMode::Any).unwrap(), Poll::Ready { first: 1 });
    assert_eq!(machine.poll(&[2], WaitMode::Any).unwrap(), waiting(WaitMode::Any, &[2]));
    store.complete(2, "b");
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[1, 2, 3], WaitMode::All).unwrap(), Poll::Ready { first: 3 });
}

#[test]
fn the_winner_of_a_race_stays_when_the_others_arrive() {
    let (_, mut store) = fan_out(3);
    for op in [2, 3, 1] {
        store.complete(op, "");
        assert_eq!(again(&store, 3).poll(&[1, 2, 3], WaitMode::Any).unwrap(), Poll::Ready { first: 2 });
    }
}

#[test]
fn all_of_nothing_is_there_and_any_of_nothing_is_an_error() {
    let mut machine = cold(&Store::default());
    assert_eq!(machine.poll(&[], WaitMode::All).unwrap(), Poll::Ready { first: 0 });
    assert_eq!(status(machine.poll(&[], WaitMode::Any)), Status::Invalid);
}

#[test]
fn a_number_that_this_run_was_not_given_is_unknown() {
    let (_, store) = fan_out(2);
    let mut machine = again(&store, 1);
    assert_eq!(status(machine.poll(&[1, 2], WaitMode::Any)), Status::Invalid, "recorded, but not asked for yet");
    assert_eq!(status(machine.outcome(2)), Status::Invalid);
    assert_eq!(status(machine.cancel(9)), Status::Invalid);
}

#[test]
fn an_outcome_is_shown_only_after_it_was_handed_over() {
    let (_, mut store) = fan_out(1);
    store.complete(1, "a");
    let mut machine = again(&store, 1);
    assert_eq!(machine.outcome(1).unwrap(), None);
    assert_eq!(machine.result(1), completed("a"));
}

#[test]
fn the_clock_is_that_of_the_last_event_and_never_goes_back() {
    let (mut machine, mut store) = fan_out(2);
    assert_eq!(machine.now(), claimed().task.created_at);
    store.complete(2, "b");
    store.complete(1, "a");
    load(&mut machine, &store);
    assert_eq!(machine.now(), claimed().task.created_at, "it has arrived, but nobody was told");
    assert!(machine.is_there(1));
    let later = machine.now();
    assert_eq!((later, machine.seen()), (store.rows[&1].completed_at.unwrap(), 2));
    assert!(machine.is_there(2));
    assert_eq!((machine.now(), machine.seen()), (later, 2));
}

#[test]
fn steps_and_cancellations_do_not_move_the_clock() {
    let run = |machine: &mut Machine, store: &mut Store| {
        let timer = machine.sleep();
        machine.cancel(timer).unwrap();
        let step = machine.step_begin("s", None).unwrap();
        if !step.recorded {
            machine.step_end(step.op, Timestamp::default(), Ok("1".into())).unwrap();
            if commit(machine, store) {
                load(machine, store);
            }
        }
        assert_eq!(machine.result(step.op), completed("1"));
        assert_eq!(machine.result(timer), OpOutcome::Cancelled);
        (machine.now(), machine.seen())
    };
    let mut store = Store::default();
    let first = run(&mut cold(&store), &mut store);
    assert_eq!(first, run(&mut cold(&store), &mut store));
    assert_eq!(first, (claimed().task.created_at, 0));
}

#[test]
fn a_cancelled_operation_is_what_the_store_says() {
    let (mut machine, mut store) = fan_out(2);
    store.complete(1, "a");
    machine.cancel(1).unwrap();
    machine.cancel(2).unwrap();
    machine.cancel(2).unwrap();
    assert_eq!(machine.poll(&[1, 2], WaitMode::Any).unwrap(), waiting(WaitMode::Any, &[1, 2]));
    assert!(commit(&mut machine, &mut store), "operation 1 had arrived before");
    load(&mut machine, &store);
    assert_eq!(machine.result(1), completed("a"));
    assert_eq!(machine.result(2), OpOutcome::Cancelled);
    let mut machine = again(&store, 2);
    machine.cancel(1).unwrap();
    machine.cancel(2).unwrap();
    assert!(!machine.has_commands(), "both are over");
    assert_eq!(machine.result(2), OpOutcome::Cancelled);
}

#[test]
fn a_cancellation_is_known_by_its_commit_alone() {
    let (mut machine, mut store) = fan_out(1);
    machine.cancel(1).unwrap();
    assert!(!commit(&mut machine, &mut store));
    assert_eq!(machine.result(1), OpOutcome::Cancelled);
    assert_eq!(machine.high_water(), 1);
}

#[test]
fn what_was_spawned_and_not_committed_is_spawned_and_cancelled() {
    let mut store = Store::default();
    store.send("go", "1");
    let mut machine = cold(&store);
    let wait = machine.wait_for("go");
    let call = machine.call("f", "[]").unwrap();
    machine.cancel(wait).unwrap();
    machine.cancel(call).unwrap();
    assert!(commit(&mut machine, &mut store), "it may have ended otherwise: the journal tells");
    assert_eq!(machine.poll(&[wait], WaitMode::All).unwrap(), Poll::NeedNews);
    load(&mut machine, &store);
    assert_eq!(machine.result(wait), OpOutcome::Cancelled);
    assert_eq!(machine.result(call), OpOutcome::Cancelled);
    let next = machine.wait_for("go");
    assert!(commit(&mut machine, &mut store));
    load(&mut machine, &store);
    assert_eq!(machine.result(next), completed("1"), "the signal went back");
}

#[test]
fn a_cancelled_wait_gives_a_signal_back_that_nobody_has_seen() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let (timer, wait) = (machine.sleep(), machine.wait_for("go"));
    commit(&mut machine, &mut store);
    store.complete(timer, "null");
    store.send("go", "1");
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[timer, wait], WaitMode::Any).unwrap(), Poll::Ready { first: timer });
    machine.cancel(wait).unwrap();
    assert_eq!(machine.poll(&[timer, wait], WaitMode::Any).unwrap(), waiting(WaitMode::Any, &[timer, wait]));
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Nothing);
    assert!(!commit(&mut machine, &mut store));
    assert_eq!(machine.result(wait), OpOutcome::Cancelled);
    let next = machine.wait_for("go");
    assert!(commit(&mut machine, &mut store));
    load(&mut machine, &store);
    assert_eq!(machine.result(next), completed("1"));
}

#[test]
fn a_signal_that_was_seen_or_timed_out_is_not_given_back() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let (seen, late) = (machine.wait_for("go"), machine.wait_for("stop"));
    commit(&mut machine, &mut store);
    store.send("go", "1");
    store.fail(late, Failure::new("SignalTimeout", ""));
    load(&mut machine, &store);
    assert!(machine.is_there(seen));
    machine.cancel(seen).unwrap();
    machine.cancel(late).unwrap();
    assert!(!machine.has_commands());
    assert!(matches!(machine.result(late), OpOutcome::Failed(_)));
}

#[test]
fn a_choice_is_made_only_where_nothing_unknown_comes_before() {
    let (mut machine, mut store) = fan_out(2);
    store.complete(1, "a");
    let step = machine.step_begin("s", None).unwrap().op;
    machine.step_end(step, Timestamp::default(), Ok("1".into())).unwrap();
    assert!(commit(&mut machine, &mut store));
    assert_eq!(machine.high_water(), 0);
    assert_eq!(machine.result(step), completed("1"), "alone it is no choice");
    assert_eq!(machine.poll(&[1, step], WaitMode::Any).unwrap(), Poll::NeedNews);
    assert_eq!(machine.poll(&[2], WaitMode::All).unwrap(), Poll::NeedNews, "it may be there");
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[1, step], WaitMode::Any).unwrap(), Poll::Ready { first: 1 });
    assert_eq!(machine.poll(&[2], WaitMode::All).unwrap(), waiting(WaitMode::All, &[2]));
}

#[test]
fn news_that_are_older_than_a_commit_do_no_harm() {
    let (mut machine, mut store) = fan_out(2);
    store.complete(2, "b");
    let old = store.journal(machine.high_water());
    store.complete(1, "a");
    let step = machine.step_begin("s", None).unwrap().op;
    machine.step_end(step, Timestamp::default(), Ok("1".into())).unwrap();
    assert!(commit(&mut machine, &mut store));
    machine.absorb(old);
    assert_eq!(machine.high_water(), 1);
    assert_eq!(machine.poll(&[1, step], WaitMode::Any).unwrap(), Poll::NeedNews);
    load(&mut machine, &store);
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[1, step], WaitMode::Any).unwrap(), Poll::Ready { first: 1 });
}

#[test]
fn numbers_that_are_missing_for_good_are_asked_for_once() {
    let (mut machine, mut store) = fan_out(1);
    store.fail(1, Failure::new("Unlucky", ""));
    assert!(!machine.fits(&Claimed { ops: 2, ..store.next_claim() }), "another worker has issued more");
    store.reopen(1);
    assert!(!machine.fits(&store.next_claim()), "another attempt has failed since");
    machine = again(&store, 1);
    machine.heartbeat("1".into()).unwrap();
    assert!(commit(&mut machine, &mut store));
    assert_eq!(machine.poll(&[1], WaitMode::All).unwrap(), Poll::NeedNews);
    load(&mut machine, &store);
    assert_eq!(machine.poll(&[1], WaitMode::All).unwrap(), waiting(WaitMode::All, &[1]));
    machine.heartbeat("2".into()).unwrap();
    assert!(!commit(&mut machine, &mut store));
    store.complete(1, "a");
    load(&mut machine, &store);
    assert_eq!(machine.result(1), completed("a"));
}

#[test]
fn an_operation_that_was_opened_again_is_delivered_once() {
    let (mut machine, mut store) = fan_out(1);
    store.fail(1, Failure::new("Unlucky", ""));
    load(&mut machine, &store);
    store.reopen(1);
    store.complete(1, "a");
    load(&mut machine, &store);
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Op(1));
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Nothing);
    assert_eq!(machine.outcome(1).unwrap(), Some(completed("a")));
}

#[test]
fn what_was_handed_over_stays_as_it_was() {
    let (mut machine, mut store) = fan_out(1);
    store.complete(1, "a");
    load(&mut machine, &store);
    assert!(machine.is_there(1));
    store.complete(1, "b");
    load(&mut machine, &store);
    assert_eq!(machine.outcome(1).unwrap(), Some(completed("a")));
}

#[test]
fn what_was_not_confirmed_is_forgotten_until_the_journal_tells() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.call("f", "[]").unwrap();
    store.apply(machine.take_commands());
    assert!(!machine.fits(&store.next_claim()));
    machine.restart(&store.claimed(), store.journal(0));
    machine.call("f", "[]").unwrap();
    assert!(!machine.has_commands());
}

#[test]
fn two_commits_may_be_on_their_way() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let call = machine.call("f", "[]").unwrap();
    let first = machine.take_commands();
    machine.cancel(call).unwrap();
    let second = machine.take_commands();
    for commands in [first, second] {
        assert!(!machine.is_there(call));
        let (arrivals, latest) = store.apply(commands);
        assert!(!machine.committed(&arrivals, latest));
    }
    assert_eq!(machine.result(call), OpOutcome::Cancelled);
}

#[test]
fn a_kept_machine_goes_on_from_the_news_alone() {
    let (mut machine, mut store) = fan_out(2);
    machine.call("g", "[]").unwrap();
    store.complete(2, "b");
    let news = store.journal(machine.high_water());
    let claim = store.next_claim();
    assert!(machine.fits(&claim));
    machine.restart(&claim, news);
    assert!(!machine.fits(&claim), "it is held");
    store.holders += 2;
    assert!(!machine.fits(&store.next_claim()), "another one has held it since");
    assert!(machine.is_replaying());
    for op in 1..=2 {
        assert_eq!(machine.call("f", "[]").unwrap(), op);
    }
    assert_eq!(machine.poll(&[1, 2], WaitMode::Any).unwrap(), Poll::Ready { first: 2 });
    assert_eq!(machine.call("g", "[]").unwrap(), 3, "it was not committed");
    assert_eq!(machine.take_commands().spawns.len(), 1);
}

#[test]
fn a_run_replays_until_it_does_something_new() {
    let (_, mut store) = fan_out(2);
    store.complete(2, "b");
    store.complete(1, "a");
    let mut machine = cold(&store);
    machine.call("f", "[]").unwrap();
    machine.call("f", "[]").unwrap();
    assert!(machine.is_replaying(), "two arrivals are to be handed over");
    assert!(machine.is_there(2) && machine.is_replaying());
    assert!(machine.is_there(1) && !machine.is_replaying());

    let mut machine = cold(&store);
    machine.call_as("mine", "g").unwrap();
    assert!(!machine.is_replaying(), "what is never asked for again does not keep it there");
    assert_eq!(machine.left_over(), ["f#1", "f#2"]);
    assert!(!cold(&Store::default()).is_replaying());
}

#[test]
fn a_kept_machine_knows_where_the_last_run_stopped() {
    let (mut machine, mut store) = fan_out(2);
    store.complete(1, "a");
    store.complete(2, "b");
    let news = store.journal(machine.high_water());
    machine.restart(&store.claimed(), news);
    machine.call("f", "[]").unwrap();
    assert!(machine.is_replaying());
    machine.call("f", "[]").unwrap();
    assert!(!machine.is_replaying(), "both arrivals are new");
}

#[test]
fn a_childs_failure_is_known_again() {
    let (mut machine, mut store) = fan_out(2);
    let failure = Failure { code: Some("E1".into()), ..Failure::new("Unlucky", "why") };
    store.fail(1, failure.clone());
    store.fail(2, Failure::new("Other", "x"));
    load(&mut machine, &store);
    assert!(!machine.is_child_failure(&failure), "nobody was told");
    assert_eq!(machine.result(1), OpOutcome::Failed(failure.clone()));
    assert!(machine.is_child_failure(&Failure { stack: Some("here".into()), ..failure.clone().final_() }));
    assert!(!machine.is_child_failure(&Failure { code: None, ..failure }));
    assert!(!machine.is_child_failure(&Failure::new("Other", "x")));
}

#[test]
fn deliveries_come_one_at_a_time_in_order_of_arrival() {
    let (mut machine, mut store) = fan_out(3);
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Nothing);
    store.complete(3, "c");
    let step = machine.step_begin("s", None).unwrap().op;
    machine.step_end(step, Timestamp::default(), Ok("1".into())).unwrap();
    assert!(commit(&mut machine, &mut store));
    assert_eq!(machine.next_delivery().unwrap(), Delivery::NeedNews);
    store.complete(1, "a");
    load(&mut machine, &store);
    for op in [3, step, 1] {
        assert_eq!(machine.next_delivery().unwrap(), Delivery::Op(op));
        assert!(machine.outcome(op).unwrap().is_some());
    }
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Nothing);

    let mut machine = again(&store, 1);
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Op(1), "only what was asked for");
    assert_eq!(status(machine.next_delivery()), Status::Nondeterminism, "nothing, and not all was asked for");
}

/// An operation costs the same however many there are: with squares, this would take minutes.
#[test]
fn a_hundred_thousand_operations_are_replayed() {
    const COUNT: u32 = 100_000;
    let (_, mut store) = fan_out(COUNT);
    for op in 1..=COUNT {
        store.complete(op, "1");
    }
    let mut machine = again(&store, COUNT);
    let ops: Vec<Op> = (1..=COUNT).collect();
    assert_eq!(machine.poll(&ops, WaitMode::All).unwrap(), Poll::Ready { first: 1 });
    machine.restart(&store.claimed(), Vec::new());
    for op in ops {
        assert_eq!(machine.call("f", "[]").unwrap(), op);
        assert_eq!(machine.result(op), completed("1"));
    }
    assert!(!machine.is_replaying() && !machine.has_commands());
}
