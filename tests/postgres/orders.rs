//! Work that shows what is lost and what is done twice: orders with a step, calls, a fan-out, a sleep and a signal, which
//! count in the store; and bodies that count outside of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stent::backend::{NewSignal, Request, Response};
use stent::model::{CallOptions, Id, Number, TaskState, WaitSignalOptions};

use crate::house::{House, text};

pub const CALLS: usize = 3;
pub const FAN_OUT: usize = 5;
const LINES: usize = CALLS + FAN_OUT;

/// How often the body of each activity ran.
#[derive(Clone, Default)]
pub struct Bodies(Arc<Mutex<BTreeMap<Id, usize>>>);

pub fn register(house: &House) -> Bodies {
    let bodies = Bodies::default();
    let ran = bodies.clone();
    house.function("line", move |task| {
        *ran.0.lock().unwrap().entry(task.info().task_id).or_default() += 1;
        task.counter_add("lines", Number::Integer(1))?;
        task.complete(task.args())
    });
    house.function("order", |task| {
        task.counter_add("begun", Number::Integer(1))?;
        let charge = task.step_begin("charge", None)?;
        if !charge.recorded {
            task.step_end(charge.op, Ok("\"charged\"".into()))?;
        }
        for number in 0..CALLS {
            task.call("line", format!("[{number}]").into(), CallOptions::default())?;
        }
        let args = (0..FAN_OUT).map(|number| format!("[{number}]").into()).collect();
        let all = task.map("line", args, CallOptions::default())?;
        task.sleep(Duration::from_millis(5), None)?;
        task.wait_signal("go", WaitSignalOptions::default())?;
        task.counter_add("over", Number::Integer(1))?;
        task.complete(all.len().to_string().into())
    });
    bodies
}

/// With an id, which a sender who got no answer may send again.
pub fn signal(execution: Id) -> NewSignal {
    NewSignal { execution, name: "go".into(), payload: "1".into(), id: Some("go".to_owned()) }
}

impl Bodies {
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    /// Waits for the orders; everything is recorded once, and the body of every activity ran once.
    pub fn check(&self, house: &House, orders: &[Id]) {
        for id in orders {
            assert_eq!(text(&house.result(*id).unwrap()), FAN_OUT.to_string());
        }
        for id in orders {
            let snapshot = house.on(house.executor.state(*id)).unwrap();
            let counted = [("begun", 1), ("lines", LINES as i64), ("over", 1)];
            let counted = counted.map(|(name, count)| (name.to_owned(), Number::Integer(count)));
            assert_eq!(snapshot.counters, BTreeMap::from(counted), "{id}");
            let request = Request::ListTasksForExecution { execution_id: *id };
            let Response::Tasks(tasks) = house.on(house.backend.call(request)).unwrap() else { panic!("no tasks") };
            // The root, the step, the lines, the sleep, the wait.
            assert_eq!(tasks.len(), 1 + 1 + LINES + 1 + 1);
            assert!(tasks.iter().all(|task| task.state == TaskState::Completed), "{tasks:?}");
        }
        let bodies = self.0.lock().unwrap();
        assert_eq!(bodies.len(), orders.len() * LINES);
        let again: Vec<_> = bodies.iter().filter(|(_, count)| **count != 1).collect();
        assert!(again.is_empty(), "ran more than once: {again:?}");
    }
}
