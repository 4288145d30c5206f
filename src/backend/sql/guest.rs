//! What others may ask for within a transaction of their own.

use super::tx::Tx;
use super::{cancel, dispatch, signals};
use crate::backend::{NewExecution, NewSignal};
use crate::model::{Error, Id, Result};

/// It has been checked.
pub enum Asked {
    Dispatch(Box<NewExecution>),
    Signal(NewSignal),
    Cancel(Id, Option<String>),
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
    }
}
