//! A server that is killed again and again under calls that have no identity of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use stent::backend::Request;
use stent::model::{Number, Status};

use crate::house::{House, until};
use crate::postgres::{Server, schema_of};

const ROUNDS: usize = 4;
const THREADS: usize = 6;

/// Whatever was answered is there, and nothing is there twice. Of what was in doubt each may be there, once.
#[test]
fn what_was_added_is_there_once() {
    let mut server = Server::new("kills", "");
    let house = Arc::new(House::at(&schema_of(&server.url, "&connect_timeout=3&call_timeout=5")));
    let id = house.dispatch("nobody_runs_it", "[]");
    let (over, added, unknown) = (AtomicBool::new(false), AtomicI64::new(0), AtomicI64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    let amount = Number::Integer(1);
                    let add = Request::IncrementExecutionCounter { execution_id: id, name: "n".to_owned(), amount };
                    match house.on(house.backend.call(add)) {
                        Ok(_) => _ = added.fetch_add(1, SeqCst),
                        Err(why) => {
                            assert!(why.status() == Status::Backend && why.is_retryable(), "{why}");
                            unknown.fetch_add(i64::from(why.details().contains_key("commit")), SeqCst);
                        }
                    }
                }
            });
        }
        for round in 0..ROUNDS {
            let before = added.load(SeqCst);
            until("some are added", || added.load(SeqCst) > before + 50);
            server.kill();
            // Sometimes there is one again before a call gives up, and sometimes not.
            sleep(Duration::from_millis(if round == 1 { 4500 } else { 300 }));
            server.begin();
        }
        let before = added.load(SeqCst);
        until("some more are added", || added.load(SeqCst) > before + 50);
        over.store(true, SeqCst);
    });
    let snapshot = house.on(house.executor.state(id)).unwrap();
    let Number::Integer(there) = snapshot.counters["n"] else { panic!("{:?}", snapshot.counters) };
    let (added, unknown) = (added.load(SeqCst), unknown.load(SeqCst));
    println!("{added} were added, {unknown} are in doubt, {there} are there");
    assert!(
        (added..=added + unknown).contains(&there),
        "{added} were added, {unknown} are in doubt, {there} are there"
    );
}
