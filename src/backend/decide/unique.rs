//! Whose a unique key of dispatches is.

use crate::model::{DispatchOptions, Error, ExecutionState, Existing, Id, Result, Timestamp};

/// Who took a key last.
pub(in crate::backend) struct Holder {
    pub execution: Id,
    pub dispatched_at: Timestamp,
    /// `None`: it is not there any more.
    pub state: Option<ExecutionState>,
}

/// Is the key of this dispatch another's? With `unique_for` for so long after his dispatch, whatever became of it; else as
/// long as he is not over.
pub(in crate::backend) fn is_held(
    function: &str,
    options: &DispatchOptions,
    now: Timestamp,
    holder: &Holder,
) -> Result<bool> {
    let held = match options.unique_for {
        Some(window) => now < holder.dispatched_at.after(window),
        None => holder.state.is_some_and(|state| !state.is_terminal()),
    };
    if !held || options.unique_existing == Existing::Return {
        return Ok(held);
    }
    let (key, id) = (options.unique_key.as_deref().unwrap_or_default(), holder.execution);
    let state = match holder.state {
        // Whether it has begun is not in each store's execution.
        Some(state) if !state.is_terminal() => "not over",
        Some(state) => state.as_str(),
        None => "not there any more",
    };
    Err(Error::conflict(format!(
        "dispatch: the unique key '{key}' of {function} is taken by execution {id}, which is {state}; nothing was started"
    ))
    .with("unique_key", key)
    .with("execution_id", id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Status;

    fn options(window: Option<u64>, existing: Existing) -> DispatchOptions {
        let unique_for = window.map(Duration::from_micros);
        DispatchOptions { unique_key: Some("k".into()), unique_for, unique_existing: existing, ..Default::default() }
    }

    #[test]
    fn a_key_is_held_by_what_goes_on_or_for_its_window() {
        use ExecutionState::{Cancelled, Cancelling, Completed, Failed, Pending, Running, TimedOut};
        let at = Timestamp::from_micros(10);
        let held = |window, now, state| {
            let holder = Holder { execution: Id::from_u128(7), dispatched_at: at, state };
            is_held("f", &options(window, Existing::Return), Timestamp::from_micros(now), &holder).unwrap()
        };
        assert!([Pending, Running, Cancelling].into_iter().all(|state| held(None, 999, Some(state))));
        assert!([Completed, Failed, TimedOut, Cancelled].into_iter().all(|state| !held(None, 10, Some(state))));
        assert!(!held(None, 10, None));
        for state in [None, Some(Running), Some(Failed)] {
            assert!(held(Some(5), 14, state) && !held(Some(5), 15, state));
        }
    }

    #[test]
    fn who_wants_no_other_is_told_whose_it_is() {
        let holder = Holder { execution: Id::from_u128(7), dispatched_at: Timestamp::default(), state: None };
        let ask = |window| is_held("f", &options(Some(window), Existing::Refuse), Timestamp::default(), &holder);
        let why = ask(1).unwrap_err();
        assert_eq!(why.status(), Status::Conflict);
        assert!(why.message().contains(&holder.execution.to_string()), "{why}");
        assert!(!ask(0).unwrap());
    }
}
