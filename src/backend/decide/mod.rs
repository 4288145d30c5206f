//! What the stores decide, separate from how they read and write, so that all stores decide alike. Pure functions: rows
//! go in and decisions come out, without I/O, clock or random numbers.

mod calls;
mod due;
mod ends;
mod fork;
mod moves;
mod progress;
mod records;
pub(super) mod schedules;
mod shares;
mod transitions;
mod unique;
mod waits;

pub(super) use calls::{Asked, Found, KEY_TTL, Reservation, Resolved, idempotency_key, reserve, resolve};
pub(super) use due::{Charge, Death, Due, Left, Row as DueRow, when_due, when_lease_ended};
pub(super) use ends::{Aftermath, End, Ended, EndedRow, Ending};
pub(super) use fork::{Copy, Node, copies, path, root_task_id};
pub(super) use moves::{
    Known, Leaving, Place, check_parcel, has_left, has_moved, in_key, is_asked, is_cancelling, may_come, may_leave,
    put_down,
};
pub(super) use progress::{line, merge};
pub(super) use records::{
    check_counter, check_execution, check_letter, check_root, check_runs, check_task, circle_among, completed_at,
    execution_is_over, execution_may_become, from_outside, may_replay, no_root, out_of_range, own_ancestor, same_end,
    sum, task_exists, unknown_execution, unknown_task,
};
pub(super) use shares::{Offer, Room, shares};
pub(super) use transitions::{Moved, Standing, apart, end_of, holds, is_end, moved, starts, steps, why_not};
pub(super) use unique::{Holder, KeyIs, key_is};
pub(super) use waits::{Book, FIRST_CALL};
