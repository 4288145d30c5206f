//! Which kind of thread is this? Functions that block for a shutdown must not be called on a thread that the shutdown
//! waits for.

use std::cell::Cell;

use crate::model::{Error, Result, Status};
use crate::threads;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The host's own.
    Host,
    /// The host's code, called by us: a handler, a log handler, a `free_fn` on the background thread.
    Callback,
    /// The async runtime's: none of the host's code ever runs there.
    Runtime,
}

thread_local! {
    static KIND: Cell<Kind> = const { Cell::new(Kind::Host) };
}

pub fn current() -> Kind {
    KIND.get()
}

pub fn mark_runtime() {
    KIND.set(Kind::Runtime);
}

/// Runs the body as on a thread of this kind.
pub fn acting_as<R>(kind: Kind, body: impl FnOnce() -> R) -> R {
    let before = KIND.replace(kind);
    let value = body();
    KIND.set(before);
    value
}

/// Runs the host's code on a thread of ours.
pub fn callback<R>(body: impl FnOnce() -> R) -> R {
    acting_as(Kind::Callback, || threads::outside(body))
}

/// For calls that wait until other callbacks have returned: from a callback they would wait for themselves.
pub fn refuse_in_callbacks(function: &str) -> Result<()> {
    match current() {
        Kind::Host => Ok(()),
        Kind::Callback | Kind::Runtime => Err(Error::new(
            Status::WrongThread,
            format!(
                "{function} was called from a callback, on one of the library's own threads, and would wait for \
                 itself; call it from a thread of your own"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_may_not_wait_for_callbacks() {
        assert!(refuse_in_callbacks("stent_shutdown").is_ok());
        let refused = callback(|| refuse_in_callbacks("stent_shutdown").unwrap_err());
        assert_eq!(refused.status(), Status::WrongThread);
        assert!(refuse_in_callbacks("stent_shutdown").is_ok());
    }
}
