//! The end of a caller's transaction, where what it has asked for meets what others do.

use stent::model::{ExecutionState, Id};

use super::Client;
use crate::house::{House, until};
use crate::postgres::fresh_url;

const KEYED: &str = "SELECT stent.dispatch('f', '[]', '{\"concurrency_key\": \"k\"}')";

/// Its session's number at the server. It waits for locks, but not when the test has failed.
fn number(house: &House, client: &Client) -> String {
    house.on(client.say("SET lock_timeout TO '60s'"));
    house.on(client.one("SELECT pg_backend_pid()::text"))
}

/// Ends these transactions one after the other, each when the last one waits for a lock, then the one that they wait for; what
/// came of each.
fn end_together(house: &House, waiting: [&Client; 2], held: Option<&Client>, look: &Client) {
    let numbers = waiting.map(|client| number(house, client));
    let waits = |number: &str| {
        let asked =
            format!("SELECT wait_event_type IS NOT DISTINCT FROM 'Lock' FROM pg_stat_activity WHERE pid = {number}");
        until("it waits for a lock", || house.on(look.one(&format!("SELECT ({asked})::text"))) == "true");
    };
    std::thread::scope(|scope| {
        let ends = [0, 1].map(|place| {
            let end = scope.spawn(move || house.on(waiting[place].run("COMMIT")));
            if place == 0 || held.is_some() {
                waits(&numbers[place]);
            }
            end
        });
        if let Some(held) = held {
            house.on(held.say("COMMIT"));
        }
        for end in ends {
            let end = end.join().unwrap();
            assert!(end.is_ok(), "{end:?}");
        }
    });
}

#[test]
fn a_cancel_and_a_key_are_waited_for_in_one_order() {
    let url = fresh_url("");
    let house = House::at(&url);
    let [caller, worker, look] = [(); 3].map(|()| house.on(Client::of(&url)));
    let running: Id = house.on(caller.one(&KEYED.replace("')", "')::text"))).parse().unwrap();
    // Whoever ends the task has it, and wants its key in the end.
    house.on(worker.say(&format!(
        "BEGIN; UPDATE stent.tasks SET state = 'completed', lane = NULL WHERE execution_id = '{running}'"
    )));
    house.on(caller.say(&format!("BEGIN; {KEYED}; SELECT stent.cancel('{running}')")));
    end_together(&house, [&caller, &worker], None, &look);
    let state = house.on(house.backend.snapshot(running)).unwrap().map(|snapshot| snapshot.execution.state);
    assert_eq!(state, Some(ExecutionState::Cancelling));
}

#[test]
fn a_new_route_and_a_key_are_waited_for_in_one_order() {
    let url = fresh_url("");
    let house = House::at(&url);
    let [one, other, holder, look] = [(); 4].map(|()| house.on(Client::of(&url)));
    house.on(look.say(KEYED));
    house.on(holder.say("BEGIN; SELECT FROM stent.catalog FOR UPDATE"));
    house.on(one.say(&format!("BEGIN; SELECT stent.dispatch('new'); {KEYED}")));
    house.on(other.say(&format!("BEGIN; {KEYED}; SELECT stent.dispatch('newer')")));
    end_together(&house, [&one, &other], Some(&holder), &look);
    assert_eq!(house.on(look.count("executions")), "5");
}

#[test]
fn a_keys_task_is_ready_whatever_the_transaction_has_set() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    for (turn, forgets) in ["RESET ALL", "SET LOCAL stent.slots = ''", "DISCARD PLANS"].iter().enumerate() {
        let keyed = KEYED.replace("\"k\"", &format!("\"{turn}\""));
        house.on(client.say(&format!("BEGIN; {keyed}; {forgets}; {keyed}; {forgets}; COMMIT")));
        let ready = "SELECT count(*)::text FROM stent.tasks WHERE lane IS NOT NULL AND slot = 1";
        assert_eq!(house.on(client.one(ready)), (2 * turn + 2).to_string(), "{forgets}");
    }
}

#[test]
fn a_key_in_a_transaction_that_sees_one_moment_is_refused_at_once() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        house.on(client.say(&format!("BEGIN ISOLATION LEVEL {level}")));
        let why = house.on(client.dispatch("f", "[]", "{\"concurrency_key\": \"k\"}")).unwrap_err();
        assert_eq!((why.state.as_str(), why.column.as_str()), ("0A000", "concurrency_key"), "{why:?}");
        assert!(why.detail == "STENT_E_UNSUPPORTED" && why.hint.contains("READ COMMITTED"), "{why:?}");
        house.on(client.say("ROLLBACK"));
    }
}
