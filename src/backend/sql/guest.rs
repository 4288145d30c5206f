//! What others may ask for within a transaction of their own.

use super::statements::TASKS_EXISTING;
use super::tx::Tx;
use super::{advance, cancel, dispatch, signals};
use crate::backend::{Commands, Held, NewExecution, NewSignal, Outcome, Spawn, SpawnKind, Transition, Verdict};
use crate::model::{Error, Id, Payload, Result, Status, StepToken};

/// It has been checked.
pub enum Asked {
    Dispatch(Box<NewExecution>),
    Signal(NewSignal),
    Cancel(Id, Option<String>),
    Record(Box<StepToken>, Payload),
}

/// The id of an execution that was asked for. Who has heard of the commit looks for what there is to do.
pub(in crate::backend) async fn run(tx: &mut Tx<'_>, asked: &Asked) -> Result<Option<Id>> {
    match asked {
        Asked::Dispatch(new) => {
            let ids = dispatch::insert(tx, std::slice::from_ref(&**new)).await.map_err(|why| why.doing("dispatch"))?;
            let id = ids.first().copied();
            id.map(Some).ok_or_else(|| Error::backend("dispatch: the store answered without an id"))
        }
        Asked::Signal(signal) => signals::send(tx, signal).await.map(|_| None),
        Asked::Cancel(execution, reason) => cancel::cancel(tx, *execution, reason.as_deref()).await.map(|()| None),
        Asked::Record(token, result) => record(tx, token, result).await.map(|()| None),
    }
}

/// A step, as its worker would record it; but its worker does not know yet.
async fn record(tx: &mut Tx<'_>, token: &StepToken, result: &Payload) -> Result<()> {
    let StepToken { task, execution, fence, op, id, started_at, ref key, ref name } = *token;
    if tx.find(&TASKS_EXISTING.call().ids([id])).await?.is_some() {
        return Err(
            Error::conflict(format!("record_step: step {name} ({key}) is recorded already")).with("key", &**key)
        );
    }
    tx.aside = true;
    let what = SpawnKind::Step { started_at, outcome: Ok(result.clone()) };
    let spawns = vec![Spawn { id, op, key: key.clone(), name: name.clone(), what }];
    let transition = Transition {
        held: Held { task, execution, parent: None, fence },
        commands: Commands { spawns, ..Commands::default() },
        outcome: Outcome::Hold,
    };
    match advance::apply(tx, &[transition]).await?.pop() {
        Some(Verdict::Recorded { .. }) => Ok(()),
        Some(Verdict::Refused(why)) => Err(why),
        Some(Verdict::Cancelled) => {
            let told = format!("record_step: the execution of step {name} ({key}) is cancelled");
            Err(Error::new(Status::Cancelled, told).with("key", &**key))
        }
        Some(Verdict::LeaseLost) | None => {
            let told = format!("record_step: the task of step {name} ({key}) is not this run's any more");
            Err(Error::new(Status::LeaseLost, told).with("key", &**key))
        }
    }
}
