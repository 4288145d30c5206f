//! Keys, numbers, mismatches, steps, effects and values.

use super::*;
use crate::model::{Detail, NAME_MAX, Number};

fn spawned_keys(machine: &mut Machine) -> Vec<String> {
    machine.take_commands().spawns.into_iter().map(|spawn| spawn.key).collect()
}

#[test]
fn keys_are_names_and_their_uses() {
    let mut machine = cold(&Store::default());
    assert_eq!([machine.call("charge", "[1]").unwrap(), machine.sleep(), machine.wait_for("go")], [1, 2, 3]);
    assert_eq!(machine.call("charge", "[2]").unwrap(), 4);
    let step = machine.step_begin("charge", None).unwrap();
    machine.step_end(step.op, Timestamp::default(), Ok("1".into())).unwrap();
    machine.timer(Some("nap"), SECOND).unwrap();
    assert_eq!(
        spawned_keys(&mut machine),
        ["charge#1", "sleep#1", "signal:go#1", "charge#2", "charge#3", "nap"],
        "uses of one name are counted together, whatever they are used for"
    );
}

#[test]
fn a_spawn_has_the_id_of_parent_run_and_key() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.call("charge", "[1]").unwrap();
    let commands = machine.take_commands();
    assert_eq!(commands.spawns[0].id, crate::model::child_id(task_id(), 0, "charge#1"));
    store.apply(commands);
    let mut again = cold(&store);
    again.call("charge", "[1]").unwrap();
    assert!(!again.has_commands(), "what is in flight is joined, not started twice");
}

#[test]
fn a_recorded_operation_keeps_its_number_and_what_was_left_out_is_made_anew_in_its_place() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    for name in ["a", "b", "c"] {
        machine.call(name, "[]").unwrap();
    }
    commit(&mut machine, &mut store);
    // A fork leaves the failed path out.
    store.rows.remove(&2);
    let mut machine = cold(&store);
    for (op, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        assert_eq!(machine.call(name, "[]").unwrap(), op);
    }
}

#[test]
fn a_key_of_ones_own_is_used_once_in_a_run() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.call_as("order-7", "charge").unwrap();
    let error = machine.timer(Some("order-7"), SECOND).unwrap_err();
    assert_eq!(error.status(), Status::Invalid);
    assert!(error.message().contains("the key \"order-7\" is used twice"), "{error}");
    commit(&mut machine, &mut store);
    let mut machine = cold(&store);
    machine.call_as("order-7", "charge").unwrap();
    assert_eq!(status(machine.call_as("order-7", "charge")), Status::Invalid, "recorded, it is no other");
    machine.call("charge", "[]").unwrap();
}

#[test]
fn names_and_keys_that_make_no_sense_are_refused_and_count_for_nothing() {
    let mut machine = cold(&Store::default());
    let error = machine.call_as("charge#1", "charge").unwrap_err();
    assert!(error.message().contains("contains '#'"), "{error}");
    let long = "x".repeat(NAME_MAX + 1);
    for result in
        [machine.call("", "[]"), machine.call(&long, "[]"), machine.call_as(&long, "f"), machine.call_as("", "f")]
    {
        assert_eq!(status(result), Status::Invalid);
    }
    assert_eq!(status(machine.signal("", None, None)), Status::Invalid);
    assert_eq!(status(machine.step_begin("", None)), Status::Invalid);
    assert_eq!(status(machine.counter("", Number::Integer(1))), Status::Invalid);
    assert_eq!(status(machine.state("", Payload::null())), Status::Invalid);
    assert!(!machine.has_commands());
    assert_eq!(machine.call("charge", "[]").unwrap(), 1);
    assert_eq!(spawned_keys(&mut machine), ["charge#1"]);
}

#[test]
fn a_mismatch_shows_both_sides_and_stays() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.call("charge", "[1]").unwrap();
    machine.sleep();
    commit(&mut machine, &mut store);

    let mut machine = cold(&store);
    machine.counter("tries", Number::Integer(1)).unwrap();
    let error = machine.call("charge", "[2]").unwrap_err();
    assert_eq!(error.status(), Status::Nondeterminism);
    assert!(
        error.message().contains(
            "operation charge#1 was recorded as activity \"charge\" with args [1] and is now asked for as activity \
             \"charge\" with args [2]"
        ),
        "{error}"
    );
    assert_eq!(error.details()["key"], Detail::from("charge#1"));
    assert_eq!(error.details()["recorded"], Detail::from("activity \"charge\" with args [1]"));
    assert_eq!(error.details()["requested"], Detail::from("activity \"charge\" with args [2]"));
    assert!(!error.is_retryable());

    assert_eq!(machine.mismatch(), Some(&error));
    assert_eq!(machine.call("charge", "[1]"), Err(error.clone()));
    assert_eq!(machine.timer(None, SECOND), Err(error.clone()));
    assert_eq!(machine.poll(&[1], WaitMode::All), Err(error.clone()));
    assert_eq!(machine.cancel(1), Err(error.clone()));
    assert_eq!(machine.counter("tries", Number::Integer(1)), Err(error.clone()));
    assert_eq!(machine.next_delivery(), Err(error));
    assert!(!machine.has_commands(), "what it wanted before is not recorded");

    machine.restart(&store.claimed(), Vec::new());
    machine.call("charge", "[1]").unwrap();
}

#[test]
fn every_kind_of_mismatch_is_told_in_words() {
    type Ask = fn(&mut Machine) -> Result<Op>;
    let asks: [(Ask, &str); 6] = [
        (|m| m.call_as("k", "charge"), "activity \"charge\" with args []"),
        (|m| m.call_as("k", "refund"), "activity \"refund\" with args []"),
        (|m| m.timer(Some("k"), SECOND), "timer \"sleep\""),
        (|m| m.signal("go", Some("k"), None), "wait for signal \"go\""),
        (|m| m.signal("stop", Some("k"), None), "wait for signal \"stop\""),
        (|m| m.step_begin("pack", Some("k")).map(|begun| begun.op), "step \"pack\""),
    ];
    for (i, (record, recorded)) in asks.iter().enumerate() {
        let mut store = Store::default();
        let mut machine = cold(&store);
        let op = record(&mut machine).unwrap();
        if recorded.starts_with("step") {
            machine.step_end(op, Timestamp::default(), Ok(Payload::null())).unwrap();
        }
        commit(&mut machine, &mut store);
        for (j, (request, requested)) in asks.iter().enumerate() {
            match request(&mut cold(&store)) {
                Ok(same) => assert!(i == j && same == op, "{recorded}, then {requested}"),
                Err(error) => {
                    let said = format!("operation k was recorded as {recorded} and is now asked for as {requested}");
                    assert!(i != j && error.message().contains(&said), "{error}");
                }
            }
        }
    }
}

#[test]
fn inputs_are_the_same_if_bytes_are_or_the_caller_says_so() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.call("f", "[1]").unwrap();
    commit(&mut machine, &mut store);
    let same = |a: &Payload, b: &Payload| a.as_bytes() == b"[1]" && b.as_bytes() == b"[ 1 ]";
    let options = CallOptions { kwargs: Some("{}".into()), ..CallOptions::default() };
    cold(&store).activity("f", "[ 1 ]".into(), options, Known::default(), &same).unwrap();
    let options = CallOptions { kwargs: Some("{\"a\":1}".into()), ..CallOptions::default() };
    let error = cold(&store).activity("f", "[1]".into(), options, Known::default(), &same).unwrap_err();
    assert!(error.message().contains("recorded as activity \"f\" with args [1] and kwargs {} and is"), "{error}");
    assert!(error.message().contains("asked for as activity \"f\" with args [1] and kwargs {\"a\":1}"), "{error}");
}

#[test]
fn delays_and_time_outs_may_differ_for_they_are_fixed_at_first_issue() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.sleep();
    machine.signal("go", None, Some(SECOND)).unwrap();
    commit(&mut machine, &mut store);
    let mut machine = cold(&store);
    machine.timer(None, 9 * SECOND).unwrap();
    machine.signal("go", None, None).unwrap();
    assert!(!machine.has_commands());
}

#[test]
fn long_inputs_are_shown_around_the_difference() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let long = |middle: &str| format!("[\"{}{middle}{}\"]", "é".repeat(3000), "ü".repeat(3000));
    machine.call("f", &long("ONE")).unwrap();
    machine.activity("g", vec![0xff, 0].into(), CallOptions::default(), Known::default(), &differs).unwrap();
    commit(&mut machine, &mut store);
    let message = cold(&store).call("f", &long("TWO")).unwrap_err().message().to_owned();
    assert!(message.contains("ONE") && message.contains("TWO") && message.contains("(12007 bytes)"), "{message}");
    assert!(message.len() < 1200, "{message}");
    let mut machine = cold(&store);
    machine.call("f", &long("ONE")).unwrap();
    let message = machine.call("g", "[]").unwrap_err().message().to_owned();
    assert!(message.contains("args <2 bytes that are not text>"), "{message}");
}

#[test]
fn a_step_is_there_when_its_commit_is_confirmed_and_not_run_again() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    let begun = machine.step_begin("pack", None).unwrap();
    assert!(!begun.recorded);
    assert!(!machine.has_commands(), "nothing is to be recorded before it ends");
    let error = machine.poll(&[begun.op], WaitMode::All).unwrap_err();
    assert!(error.message().contains("end it before it is awaited"), "{error}");
    assert_eq!(status(machine.cancel(begun.op)), Status::Invalid);
    machine.step_end(begun.op, Timestamp::default(), Ok("7".into())).unwrap();
    machine.cancel(begun.op).unwrap();
    assert_eq!(machine.poll(&[begun.op], WaitMode::All).unwrap(), waiting(WaitMode::All, &[1]));
    assert!(!commit(&mut machine, &mut store));
    assert_eq!(machine.result(begun.op), completed("7"));

    let mut machine = cold(&store);
    let begun = machine.step_begin("pack", None).unwrap();
    assert!(begun.recorded);
    assert_eq!(machine.result(begun.op), completed("7"));
    let error = machine.step_end(begun.op, Timestamp::default(), Ok("8".into())).unwrap_err();
    assert_eq!(error.status(), Status::Conflict);
    assert!(error.message().contains("step pack (pack#1) is recorded already"), "{error}");
}

#[test]
fn a_step_ends_once_and_only_a_step_ends() {
    let mut machine = cold(&Store::default());
    let op = machine.step_begin("pack", None).unwrap().op;
    machine.step_end(op, Timestamp::default(), Err(Failure::new("Broken", "tape"))).unwrap();
    let error = machine.step_end(op, Timestamp::default(), Ok("1".into())).unwrap_err();
    assert_eq!(error.status(), Status::Conflict);
    assert!(error.message().contains("has ended already"), "{error}");
    let timer = machine.sleep();
    let error = machine.step_end(timer, Timestamp::default(), Ok("1".into())).unwrap_err();
    assert!(error.message().contains("not a step but of kind timer"), "{error}");
    let error = machine.step_end(99, Timestamp::default(), Ok("1".into())).unwrap_err();
    assert!(error.message().contains("operation 99 is unknown"), "{error}");
    assert_eq!(machine.take_commands().spawns.len(), 2);
}

#[test]
fn the_first_effects_of_a_run_are_those_that_are_recorded() {
    let mut store = Store::default();
    let said = |machine: &mut Machine| {
        for n in 1..=2 {
            machine.counter("tries", Number::Integer(n)).unwrap();
        }
        machine.state("3", Payload::null()).unwrap();
    };
    let mut machine = cold(&store);
    said(&mut machine);
    machine.sleep();
    commit(&mut machine, &mut store);
    let mut machine = cold(&store);
    assert!(machine.is_replaying());
    said(&mut machine);
    machine.sleep();
    assert!(!machine.has_commands() && !machine.is_replaying());
    machine.heartbeat("1".into()).unwrap();
    machine.heartbeat("2".into()).unwrap();
    machine.state("4", Payload::null()).unwrap();
    let commands = machine.take_commands();
    assert_eq!((commands.effects(), commands.heartbeat), (1, Some("2".into())));
}

#[test]
fn an_attempt_that_replays_nothing_is_heard_in_full() {
    let mut store = Store::default();
    let mut machine = cold(&store);
    machine.state("1", Payload::null()).unwrap();
    commit(&mut machine, &mut store);
    let mut machine = cold(&store);
    assert!(!machine.is_replaying());
    machine.state("2", Payload::null()).unwrap();
    // Said again after a lost answer, it is found by where the record was.
    let commands = machine.take_commands();
    assert_eq!((commands.effects(), commands.from.map(|from| from.effects)), (1, Some(1)));
}

#[test]
fn random_values_follow_from_task_run_and_count() {
    let mut machine = cold(&Store::default());
    let first = (machine.random(), machine.random(), machine.uuid(), machine.uuid());
    assert!(first.0 != first.1 && first.2 != first.3);
    assert_eq!(first.2.get_version_num(), 8);
    machine.restart(&claimed(), Vec::new());
    assert_eq!(first, (machine.random(), machine.random(), machine.uuid(), machine.uuid()));
    let mut next_run = Machine::new(&Claimed { run: 1, ..claimed() }, Vec::new());
    assert_ne!((first.0, first.2), (next_run.random(), next_run.uuid()));
}

#[test]
fn a_long_fan_out_is_committed_in_chunks_with_the_cancels_last() {
    let mut machine = cold(&Store::default());
    let ops: Vec<Op> = (0..5).map(|_| machine.call("f", "[]").unwrap()).collect();
    machine.cancel(ops[0]).unwrap();
    machine.counter("n", Number::Integer(1)).unwrap();
    assert_eq!(machine.staged_spawns(), 5);
    let sizes = |machine: &mut Machine| {
        let chunk = machine.take_chunk(2);
        (chunk.spawns.len(), chunk.cancels.len(), chunk.effects())
    };
    assert_eq!(sizes(&mut machine), (2, 0, 1));
    assert_eq!(sizes(&mut machine), (2, 0, 0));
    assert!(machine.has_commands());
    assert_eq!(sizes(&mut machine), (1, 1, 0));
    assert!(!machine.has_commands());
}
