//! What a worker says to a store that answers the protocol alone, word for word.

use std::time::Duration;

use stent::backend::{
    Claim, Claimed, Commands, DeadLetterFilter, Extent, Function, Held, NewExecution, NewWorker, Outcome, Request,
    Response, Transition, Verdict,
};
use stent::model::{DispatchOptions, FunctionOptions, Id, Number, Payload, Task, TaskKind, TaskState};

use crate::house::{House, until};

/// An execution of the only function of a worker, `w`.
fn started(house: &House) -> Id {
    house.on(async {
        let functions = vec![Function { name: "root".into(), options: FunctionOptions::default() }];
        let worker = NewWorker {
            worker_id: "w".into(),
            queues: Vec::new(),
            tags: Vec::new(),
            functions,
            queue_rates: [].into(),
        };
        house.backend.register_worker(worker).await.unwrap();
        let (id, args, options) = (Id::now_v7(), Payload::empty_array(), DispatchOptions::default());
        let new = NewExecution { id, function: "root".into(), args, options, args_hash: [0; 32], registered: None };
        house.backend.dispatch(vec![new]).await.unwrap();
        id
    })
}

fn claim(house: &House, lease: Duration) -> Option<Claimed> {
    let claim = Claim { worker_id: "w".into(), count: 1, limited: 0, begin: 1, slots: 1, lease };
    house.on(house.backend.advance(Vec::new(), Some(claim))).unwrap().1.pop()
}

#[test]
fn what_is_said_again_counts_once() {
    let house = House::new();
    let id = started(&house);
    let task = claim(&house, Duration::from_secs(60)).unwrap().task;
    let held = Held { task: task.id, execution: id, parent: None, fence: task.fence };
    let counters = vec![("n".to_owned(), Number::Integer(2))];
    let commands = Commands { counters, from: Some(Extent::default()), ..Commands::default() };
    let said = Transition { held, commands, outcome: Outcome::Hold };
    for _ in 0..2 {
        let (verdicts, _) = house.on(house.backend.advance(vec![said.clone()], None)).unwrap();
        assert_eq!(verdicts, [Verdict::Recorded { arrivals: Vec::new(), latest: 0 }]);
    }
    let snapshot = house.on(house.backend.snapshot(id)).unwrap().unwrap();
    assert_eq!(snapshot.counters["n"], Number::Integer(2));
}

#[test]
fn a_task_that_kills_its_workers_is_dead_lettered() {
    const LEASE: Duration = Duration::from_millis(5);
    let house = House::new();
    let id = started(&house);
    for crashes in 0..3 {
        let claimed = loop {
            std::thread::sleep(2 * LEASE);
            if let Some(claimed) = claim(&house, LEASE) {
                break claimed;
            }
        };
        assert_eq!(claimed.crashes, crashes);
        let error = claimed.task.error.map(|failure| failure.kind);
        assert_eq!(error.as_deref(), (crashes > 0).then_some("WorkerDied"));
    }
    until("it is over", || {
        assert!(claim(&house, LEASE).is_none());
        house.on(house.backend.ended_among(vec![id])).unwrap() == [id]
    });
    let filter = DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() };
    let letters = house.on(house.backend.dead_letters(filter)).unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("died 3 times"), "{}", letters[0].reason);
}

#[test]
fn a_task_waits_for_its_execution() {
    let house = House::new();
    let model = started(&house);
    let root = claim(&house, Duration::from_secs(60)).unwrap().task;
    let ask = |request| house.on(house.backend.call(request)).unwrap();
    let Response::Execution(Some(model)) = ask(Request::GetExecution { execution_id: model }) else {
        panic!("it is there")
    };
    let execution = stent::model::Execution { id: Id::now_v7(), progress: Vec::new(), ..*model };
    let task = Task::new(Id::now_v7(), execution.id, TaskKind::Activity, "root", root.started_at.unwrap());
    ask(Request::CreateTask { task: task.clone() });
    let stats = || house.on(house.backend.stats()).unwrap();
    assert_eq!(stats().ready, []);
    assert_eq!(claim(&house, Duration::from_secs(60)), None);
    assert_eq!((stats().ready, stats().tasks[TaskState::Pending.as_str()]), (vec![], 1));
    ask(Request::CreateExecution { execution });
    until("it is looked at again, and runs", || {
        claim(&house, Duration::from_secs(60)).is_some_and(|claimed| claimed.task.id == task.id)
    });
}
