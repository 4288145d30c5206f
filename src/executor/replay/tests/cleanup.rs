//! Where the handler of an execution that cleans up is told of the cancel.

use super::*;

fn told(machine: &mut Machine, function: &str) {
    let refused = machine.call(function, "[]").unwrap_err();
    assert_eq!(refused.status(), Status::Cancelled);
}

/// `a` and `b` were called; `a` is over, and `b` was waited for.
fn cancelled() -> Store {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let a = machine.call("a", "[]").unwrap();
    machine.call("b", "[]").unwrap();
    commit(&mut machine, &mut store);
    store.complete(a, "1");
    store.begin_cleanup();
    store
}

#[test]
fn what_it_waited_for_tells_it_and_what_it_asks_for_then_is_its_cleanup() {
    let mut store = cancelled();
    for staged in [2, 1, 0] {
        let mut machine = cold(&store);
        let (a, b) = (machine.call("a", "[]").unwrap(), machine.call("b", "[]").unwrap());
        assert_eq!((machine.result(a), machine.result(b)), (completed("1"), OpOutcome::Cancelled));
        let (undo, again) = (machine.call("undo", "[]").unwrap(), machine.call("undo", "[]").unwrap());
        assert_eq!((undo, again, machine.staged_spawns()), (3, 4, staged));
        // One of the two is recorded when its worker dies.
        store.apply(machine.take_chunk(1));
    }
}

#[test]
fn who_waited_for_nothing_is_told_by_the_first_new_operation_in_every_run() {
    let mut store = Store::default();
    store.begin_cleanup();
    for staged in [1, 0] {
        let mut machine = cold(&store);
        told(&mut machine, "a");
        // It has left no trace.
        assert_eq!((machine.call("undo", "[]").unwrap(), machine.staged_spawns()), (1, staged));
        assert_eq!(machine.end(), Ok(()));
        commit(&mut machine, &mut store);
    }
    // Another place is another code.
    let mut machine = cold(&store);
    told(&mut machine, "a");
    assert_eq!(status(machine.call("b", "[]")), Status::Nondeterminism);
}

#[test]
fn a_step_that_was_not_recorded_does_not_run_again() {
    let store = cancelled();
    let mut machine = cold(&store);
    let a = machine.call("a", "[]").unwrap();
    assert!(machine.is_there(a));
    assert_eq!(status(machine.step_begin("charge", None)), Status::Nondeterminism, "b comes first");
    let mut machine = cold(&store);
    machine.call("a", "[]").unwrap();
    machine.call("b", "[]").unwrap();
    assert_eq!(status(machine.step_begin("charge", None)), Status::Cancelled);
    assert_eq!(machine.step_begin("refund", None).unwrap().op, 3);
}

#[test]
fn once_told_it_need_not_ask_for_what_it_had_issued() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let a = machine.call("a", "[]").unwrap();
    machine.call("b", "[]").unwrap();
    commit(&mut machine, &mut store);
    store.begin_cleanup();
    let mut machine = cold(&store);
    machine.call("a", "[]").unwrap();
    assert_eq!(machine.result(a), OpOutcome::Cancelled);
    machine.call("undo", "[]").unwrap();
    assert_eq!(machine.end(), Ok(()));
}

#[test]
fn the_same_may_be_asked_for_again_and_what_was_to_come_first_still_is() {
    let mut store = cancelled();
    for staged in [1, 0] {
        let mut machine = cold(&store);
        machine.call("a", "[]").unwrap();
        machine.call("b", "[]").unwrap();
        told(&mut machine, "c");
        assert_eq!((machine.call("c", "[]").unwrap(), machine.staged_spawns()), (3, staged));
        commit(&mut machine, &mut store);
    }
    let mut machine = cold(&store);
    machine.call("a", "[]").unwrap();
    assert_eq!(status(machine.call("c", "[]")), Status::Nondeterminism, "b comes first");
}

#[test]
fn what_it_cancelled_itself_tells_it_nothing() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let a = machine.call("a", "[]").unwrap();
    commit(&mut machine, &mut store);
    machine.cancel(a).unwrap();
    commit(&mut machine, &mut store);
    assert_eq!(machine.result(a), OpOutcome::Cancelled);
    store.begin_cleanup();
    let mut machine = cold(&store);
    let a = machine.call("a", "[]").unwrap();
    machine.cancel(a).unwrap();
    commit(&mut machine, &mut store);
    assert_eq!(machine.result(a), OpOutcome::Cancelled);
    told(&mut machine, "b");
}
