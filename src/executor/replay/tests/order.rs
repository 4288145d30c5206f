//! The order of operations: what is asked for out of its turn, and what is passed over.

use super::*;
use crate::model::Detail;

type Code<'a> = &'a [&'a str];

/// A handler: `sleep`, `go` (a signal), `end`, `wait` (for the last operation), `key=function`, or a function to call.
fn run(machine: &mut Machine, code: Code<'_>) -> Result<()> {
    let mut last = Vec::new();
    for word in code {
        match *word {
            "end" => machine.end()?,
            "wait" => drop(machine.poll(&last, WaitMode::All)?),
            "sleep" => last = vec![machine.timer(None, SECOND)?],
            "go" => last = vec![machine.signal("go", None, None)?],
            call => {
                last = vec![match call.split_once('=') {
                    Some((key, function)) => machine.call_as(key, function)?,
                    None => machine.call(call, "[]")?,
                }];
            }
        }
    }
    Ok(())
}

fn recorded(code: Code<'_>) -> Store {
    let mut store = Store::default();
    let mut machine = cold(&store);
    run(&mut machine, code).unwrap();
    commit(&mut machine, &mut store);
    store
}

/// What another code comes to with what this one has recorded.
fn then(store: &Store, code: Code<'_>) -> Result<()> {
    run(&mut cold(store), code)
}

#[test]
fn another_order_another_beginning_and_a_missing_one_are_mismatches() {
    let store = recorded(&["a", "sleep"]);
    for code in [&["b", "sleep", "a"][..], &["c", "a", "sleep"], &["sleep", "b"], &["a", "b"], &["a", "end"], &["end"]]
    {
        let error = then(&store, code).unwrap_err();
        assert_eq!(error.status(), Status::Nondeterminism, "{code:?}");
    }
    for code in [&["a", "sleep", "b", "end"][..], &["a", "sleep", "wait"], &["a", "sleep", "end"], &["a"]] {
        assert_eq!(then(&store, code), Ok(()), "{code:?}");
    }
}

#[test]
fn names_used_again_have_their_places_too() {
    let store = recorded(&["a", "b", "a"]);
    assert_eq!(then(&store, &["a", "b", "a", "end"]), Ok(()));
    assert_eq!(status(then(&store, &["a", "a", "b"])), Status::Nondeterminism);
}

#[test]
fn both_sides_and_the_ways_out_are_told() {
    let store = recorded(&["a", "sleep"]);
    let error = then(&store, &["a", "b"]).unwrap_err();
    assert_eq!(error.details()["key"], Detail::from("sleep#1"));
    assert_eq!(error.details()["recorded"], Detail::from("timer \"sleep\""));
    assert_eq!(error.details()["requested"], Detail::from("activity \"b\" with args [] (b#1)"));
    assert!(
        error.message().contains(
            "operation sleep#1 was recorded as timer \"sleep\", and in its place b#1 is asked for, activity \"b\" with args []"
        ),
        "{error}"
    );
    assert!(
        error.message().contains("a version of the function that fits its journal, or when it is resumed"),
        "{error}"
    );
    let error = then(&store, &["a", "end"]).unwrap_err();
    assert!(error.message().contains("timer \"sleep\", and in its place comes the end of the handler"), "{error}");
    let error = then(&store, &["a", "wait"]).unwrap_err();
    assert!(error.message().contains("and in its place comes a wait for operation a#1"), "{error}");
}

#[test]
fn after_a_mismatch_nothing_is_recorded_and_nothing_goes_on() {
    let store = recorded(&["a", "sleep"]);
    let mut machine = cold(&store);
    machine.call_as("mine", "x").unwrap();
    machine.call("a", "[]").unwrap();
    let error = machine.end().unwrap_err();
    assert!(!machine.has_commands());
    assert_eq!(machine.mismatch(), Some(&error));
    assert_eq!(machine.timer(None, SECOND), Err(error.clone()));
    assert_eq!(machine.end(), Err(error));
    machine.restart(&store.claimed(), Vec::new());
    run(&mut machine, &["a", "sleep", "end"]).unwrap();
}

#[test]
fn what_has_a_key_of_its_own_is_free_in_order_and_is_asked_for() {
    let store = recorded(&["x=f", "a", "y=f", "sleep"]);
    for code in [&["y=f", "a", "sleep", "x=f", "end"][..], &["a", "new=g", "sleep", "x=f", "y=f", "end"]] {
        assert_eq!(then(&store, code), Ok(()), "{code:?}");
    }
    // One of its threads waits before another has come so far.
    assert_eq!(then(&store, &["x=f", "wait"]), Ok(()));
    assert_eq!(status(then(&store, &["a", "sleep", "x=f", "end"])), Status::Nondeterminism);
    assert_eq!(status(then(&store, &["x=f", "sleep"])), Status::Nondeterminism, "the others keep theirs");
}

#[test]
fn a_step_that_was_begun_and_not_ended_is_made_anew_in_its_place() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let begun = |machine: &mut Machine, name| machine.step_begin(name, None).unwrap().op;
    let ops = [begun(&mut machine, "one"), begun(&mut machine, "two"), begun(&mut machine, "one")];
    machine.step_end(ops[1], Timestamp::default(), Ok("2".into())).unwrap();
    commit(&mut machine, &mut store);
    // The worker dies; then another one ends them all, the last one first.
    let mut machine = cold(&store);
    assert_eq!([begun(&mut machine, "one"), begun(&mut machine, "two"), begun(&mut machine, "one")], [1, 2, 3]);
    for op in [3, 1] {
        machine.step_end(op, Timestamp::default(), Ok("1".into())).unwrap();
        commit(&mut machine, &mut store);
    }
    let mut machine = cold(&store);
    for (op, name) in [(1, "one"), (2, "two"), (3, "one")] {
        assert_eq!(machine.step_begin(name, None).unwrap(), crate::executor::replay::StepBegun { op, recorded: true });
    }
    machine.end().unwrap();
    assert_eq!(status(cold(&store).step_begin("two", None)), Status::Nondeterminism);
}

#[test]
fn a_handler_that_fails_earlier_than_its_record_is_no_mismatch() {
    let store = recorded(&["a", "b", "sleep"]);
    let mut machine = cold(&store);
    machine.call("a", "[]").unwrap();
    assert!(machine.mismatch().is_none());
    assert_eq!(machine.left_over(), ["b#1", "sleep#1"], "it did not come to these");
}

#[test]
fn after_an_operation_that_was_opened_again_the_handler_may_go_another_way() {
    // `a` failed, which `undo` made up for.
    let mut store = recorded(&["first", "a", "undo", "sleep"]);
    store.complete(1, "1");
    store.fail(2, Failure::new("Unlucky", ""));
    store.complete(3, "3");
    for code in [&["first", "a", "wait", "b", "end"][..], &["first", "a", "end"]] {
        assert_eq!(status(then(&store, code)), Status::Nondeterminism, "{code:?}");
    }
    store.reopen(2);
    for code in [
        &["first", "a", "wait", "b", "end"][..],
        &["first", "a", "end"],
        &["first", "a", "sleep", "undo", "end"],
        &["first", "a", "undo", "sleep", "end"],
    ] {
        assert_eq!(then(&store, code), Ok(()), "{code:?}");
    }
    for code in [&["a"][..], &["first", "wait", "sleep"], &["first", "end"], &["first", "undo"]] {
        // The wait for `first` is over.
        assert_eq!(status(then(&store, code)), Status::Nondeterminism, "{code:?}");
    }
    let mut machine = cold(&store);
    run(&mut machine, &["first", "a", "b"]).unwrap();
    assert_eq!(machine.take_commands().spawns[0].op, 5, "what is new comes after all");
}

#[test]
fn a_coroutine_that_waits_has_asked_for_all_that_is_recorded() {
    let store = recorded(&["a", "sleep"]);
    let mut machine = cold(&store);
    machine.call("a", "[]").unwrap();
    let error = machine.next_delivery().unwrap_err();
    assert!(error.message().contains("in its place comes a wait for what arrives"), "{error}");
    let mut machine = cold(&store);
    run(&mut machine, &["a", "sleep"]).unwrap();
    assert_eq!(machine.next_delivery().unwrap(), Delivery::Nothing);
}
