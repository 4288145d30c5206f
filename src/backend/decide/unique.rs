//! Whose a unique key of dispatches is.

use crate::model::{DispatchOptions, Error, ExecutionState, Existing, Id, KeyWhile, Result, Timestamp};

/// One that has taken a key.
pub(in crate::backend) struct Holder {
    pub execution: Id,
    pub dispatched_at: Timestamp,
    /// `None`: it is not there any more.
    pub state: Option<ExecutionState>,
    /// No worker has had it yet.
    pub waits: bool,
    /// Nobody has taken the key since.
    pub latest: bool,
}

impl Holder {
    pub fn goes_on(&self) -> bool {
        self.state.is_some_and(|state| !state.is_terminal())
    }
}

/// What becomes of a dispatch with a unique key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) enum KeyIs {
    /// The key is free, and the dispatch starts.
    Free,
    /// Nothing starts: this id is the answer.
    Held { by: Id },
    /// This one waits for a quiet time: it gets the dispatch's arguments, and may start then.
    Debounced { by: Id, starts_at: Timestamp },
}

/// Is the key of this dispatch another's? For its `unique_for` after the dispatch of who took it last, whatever became of him;
/// with `debounce`, or while he is pending, until a worker has him; else that of all who are not over. They are in order, the
/// last first.
pub(in crate::backend) fn key_is(
    function: &str,
    options: &DispatchOptions,
    now: Timestamp,
    holders: &[Holder],
) -> Result<KeyIs> {
    if let Some(quiet) = options.debounce {
        let Some(holder) = holders.iter().find(|holder| holder.latest && holder.waits) else {
            return Ok(KeyIs::Free);
        };
        let latest = options.debounce_max.map(|most| holder.dispatched_at.after(most));
        let quiet_at = now.after(quiet);
        let starts_at = latest.map_or(quiet_at, |latest| latest.min(quiet_at));
        return Ok(KeyIs::Debounced { by: holder.execution, starts_at });
    }
    let has_it = |holder: &&Holder| {
        let in_window = |window| holder.latest && now < holder.dispatched_at.after(window);
        options.unique_for.is_some_and(in_window)
            || match options.key_while() {
                Some(KeyWhile::Unfinished) => holder.goes_on(),
                Some(KeyWhile::Pending) => holder.latest && holder.waits,
                None => false,
            }
    };
    let holder = match (holders.iter().find(has_it), options.unique_existing) {
        (None, _) => return Ok(KeyIs::Free),
        (Some(holder), Existing::Return) => return Ok(KeyIs::Held { by: holder.execution }),
        (Some(holder), Existing::Refuse) => holder,
    };
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

    fn holder(id: u128, dispatched_at: Timestamp, state: Option<ExecutionState>) -> Holder {
        Holder { execution: Id::from_u128(id), dispatched_at, state, waits: true, latest: true }
    }

    #[test]
    fn a_key_is_held_by_what_goes_on_or_for_its_window() {
        use ExecutionState::{Cancelled, Cancelling, Completed, Failed, Pending, Running, TimedOut};
        let at = Timestamp::from_micros(10);
        let held = |window, now, state| {
            let holder = holder(7, at, state);
            let found =
                key_is("f", &options(window, Existing::Return), Timestamp::from_micros(now), &[holder]).unwrap();
            found == KeyIs::Held { by: Id::from_u128(7) }
        };
        assert!([Pending, Running, Cancelling].into_iter().all(|state| held(None, 999, Some(state))));
        assert!([Completed, Failed, TimedOut, Cancelled].into_iter().all(|state| !held(None, 10, Some(state))));
        assert!(!held(None, 10, None));
        for state in [None, Some(Running), Some(Failed)] {
            assert!(held(Some(5), 14, state) && !held(Some(5), 15, state));
        }
    }

    #[test]
    fn who_had_it_before_the_last_has_it_until_it_is_over() {
        use ExecutionState::{Completed, Running};
        let at = Timestamp::default();
        let earlier = |id| Holder { latest: false, ..holder(id, at, Some(Running)) };
        let found = |window, last| {
            let holders = [holder(3, at, Some(last)), earlier(2), earlier(1)];
            key_is("f", &options(window, Existing::Return), at, &holders).unwrap()
        };
        let by = |id| KeyIs::Held { by: Id::from_u128(id) };
        assert_eq!([found(None, Running), found(None, Completed)], [by(3), by(2)]);
        assert_eq!([found(Some(0), Running), found(Some(1), Completed)], [KeyIs::Free, by(3)]);
    }

    #[test]
    fn a_key_is_taken_while_its_dispatch_says() {
        use ExecutionState::{Completed, Pending, Running};
        let at = Timestamp::default();
        let found = |state, window, key_while| {
            let waits = state == Pending;
            let holders = [Holder { waits, ..holder(7, at, Some(state)) }];
            let options = DispatchOptions { unique_while: key_while, ..options(window, Existing::Return) };
            key_is("f", &options, at, &holders).unwrap() != KeyIs::Free
        };
        let (unfinished, pending) = (Some(KeyWhile::Unfinished), Some(KeyWhile::Pending));
        let each = |window, key_while| [Pending, Running, Completed].map(|state| found(state, window, key_while));
        assert_eq!([each(None, None), each(None, unfinished)], [[true, true, false]; 2]);
        assert_eq!(each(None, pending), [true, false, false]);
        // A window that is over.
        assert_eq!([each(Some(0), None), each(Some(0), pending)], [[false; 3], [true, false, false]]);
        assert_eq!(each(Some(0), unfinished), [true, true, false]);
        // One that is not.
        assert_eq!([None, unfinished, pending].map(|key_while| each(Some(9), key_while)), [[true; 3]; 3]);
    }

    #[test]
    fn who_wants_no_other_is_told_whose_it_is() {
        let holders = [holder(7, Timestamp::default(), None)];
        let ask = |window| key_is("f", &options(Some(window), Existing::Refuse), Timestamp::default(), &holders);
        let why = ask(1).unwrap_err();
        assert_eq!(why.status(), Status::Conflict);
        assert!(why.message().contains(&holders[0].execution.to_string()), "{why}");
        assert_eq!(ask(0).unwrap(), KeyIs::Free);
    }

    #[test]
    fn one_that_no_worker_has_had_gets_the_last_arguments_after_a_quiet_time() {
        let at = Timestamp::from_micros;
        let micros = Duration::from_micros;
        let found = |most: Option<u64>, now, waits| {
            let options = DispatchOptions {
                unique_key: Some("k".into()),
                debounce: Some(micros(5)),
                debounce_max: most.map(micros),
                ..Default::default()
            };
            let holder = Holder { waits, ..holder(7, at(10), Some(ExecutionState::Pending)) };
            key_is("f", &options, at(now), &[holder]).unwrap()
        };
        let starts = |micros| KeyIs::Debounced { by: Id::from_u128(7), starts_at: at(micros) };
        assert_eq!([found(None, 12, true), found(None, 99, true)], [starts(17), starts(104)]);
        assert_eq!([found(Some(8), 12, true), found(Some(8), 14, true)], [starts(17), starts(18)]);
        assert_eq!(found(Some(8), 30, true), starts(18), "at once");
        assert_eq!(found(None, 12, false), KeyIs::Free);
    }
}
