//! What the stores decide, apart from how they read and write: one place for both. It is given rows and says what
//! follows; it does no I/O, reads no clock and draws nothing by chance.

mod calls;
mod due;
mod ends;
mod fork;
mod progress;
mod records;
mod transitions;
mod waits;

pub(super) use calls::{Asked, Found, KEY_TTL, Reservation, Resolved, reserve, resolve};
pub(super) use due::{Due, Row as DueRow, when_due, when_lease_ended};
pub(super) use ends::{Aftermath, End, Ended, EndedRow, Ending};
pub(super) use fork::{Copy, Node, copies, path, root_task_id};
pub(super) use progress::{line, merge};
pub(super) use records::{
    check_counter, check_execution, check_root, check_runs, check_task, circle_among, ended_at, execution_is_over,
    execution_may_become, from_outside, no_root, own_ancestor, same_end, sum, task_exists, unknown_execution,
    unknown_task,
};
pub(super) use transitions::{Moved, Standing, apart, end_of, holds, is_end, moved, starts, steps, why_not};
pub(super) use waits::{Book, FIRST_CALL};
