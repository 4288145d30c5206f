//! Small histories by hand, random ones by program.

mod arrivals;
mod cleanup;
mod histories;
mod order;
mod program;
mod requests;
mod store;

use std::time::Duration;

use crate::backend::Claimed;
use crate::model::{
    CallOptions, Failure, Id, Op, Payload, Result, RetryPolicy, Status, Task, TaskKind, TaskState, Timestamp, WaitMode,
    execution_id,
};

use super::{Delivery, Known, Machine, OpOutcome, Poll};
use store::Store;

const SECOND: Duration = Duration::from_secs(1);

fn task_id() -> Id {
    execution_id(Timestamp::from_micros(1_700_000_000_000_000), [3; 10])
}

fn claimed() -> Claimed {
    let task = Task {
        state: TaskState::Running,
        retry_policy: Some(RetryPolicy::default()),
        fence: 1,
        ..Task::new(task_id(), task_id(), TaskKind::Orchestrator, "handler", Timestamp::from_micros(1_000))
    };
    Claimed {
        task,
        run: 0,
        ops: 0,
        effects: 0,
        opened: None,
        heartbeat: None,
        crashes: 0,
        deaths: 0,
        snoozes: 0,
        first_started_at: None,
        begun: None,
        company: None,
        deadline: None,
        cache: None,
        traceparent: None,
        cleanup: None,
        claimed_at: Timestamp::from_micros(2_000),
    }
}

fn differs(_: &Payload, _: &Payload) -> bool {
    false
}

/// The shortest ways to ask a machine.
impl Machine {
    fn call(&mut self, function: &str, args: &str) -> Result<Op> {
        self.activity(function, args.into(), CallOptions::default(), Known::default(), &differs)
    }

    fn call_as(&mut self, key: &str, function: &str) -> Result<Op> {
        let options = CallOptions { key: Some(key.into()), ..CallOptions::default() };
        self.activity(function, "[]".into(), options, Known::default(), &differs)
    }

    fn sleep(&mut self) -> Op {
        self.timer(None, SECOND).unwrap()
    }

    fn wait_for(&mut self, signal: &str) -> Op {
        self.signal(signal, None, None).unwrap()
    }

    fn is_there(&mut self, op: Op) -> bool {
        self.poll(&[op], WaitMode::All).unwrap() == Poll::Ready { first: op }
    }

    fn result(&mut self, op: Op) -> OpOutcome {
        assert!(self.is_there(op), "operation {op} is not there");
        self.outcome(op).unwrap().unwrap()
    }
}

fn completed(payload: &str) -> OpOutcome {
    OpOutcome::Completed(payload.into())
}

fn waiting(mode: WaitMode, ops: &[Op]) -> Poll {
    Poll::Waiting { mode, ops: ops.iter().copied().collect() }
}

/// Commits what is staged and confirms it. True: there are news.
fn commit(machine: &mut Machine, store: &mut Store) -> bool {
    let (arrivals, latest) = store.apply(machine.take_commands());
    machine.committed(&arrivals, latest)
}

fn load(machine: &mut Machine, store: &Store) {
    machine.absorb(store.journal(machine.high_water()));
}

/// A machine as another worker would have it.
fn cold(store: &Store) -> Machine {
    Machine::new(&store.claimed(), store.journal(0))
}

fn status(result: Result<impl std::fmt::Debug>) -> Status {
    result.unwrap_err().status()
}
