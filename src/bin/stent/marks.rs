//! Times and states, as they look on the screen that there is.

use stent::model::{ExecutionState, TaskState, Timestamp};

use crate::screen::{Colour, Screen};
use crate::table::Cell;
use crate::words::{age, date};

/// An age for people who look, a date for what is kept.
pub fn when(screen: &Screen, time: Timestamp) -> String {
    if screen.is_terminal() { age(time) } else { date(time) }
}

/// A date, with its age where a person looks.
pub fn both(screen: &Screen, time: Timestamp) -> String {
    if screen.is_terminal() { format!("{} ({})", date(time), age(time)) } else { date(time) }
}

pub fn execution_state(state: ExecutionState) -> Cell {
    Cell::from(state.as_str()).in_colour(of_execution(state))
}

pub fn of_execution(state: ExecutionState) -> Option<Colour> {
    match state {
        ExecutionState::Completed => Some(Colour::Good),
        ExecutionState::Failed | ExecutionState::TimedOut => Some(Colour::Bad),
        ExecutionState::Running | ExecutionState::Cancelling => Some(Colour::Busy),
        ExecutionState::Pending => None,
        ExecutionState::Cancelled => Some(Colour::Dim),
    }
}

pub fn task_state(state: TaskState) -> Cell {
    let colour = match state {
        TaskState::Completed => Some(Colour::Good),
        TaskState::Failed => Some(Colour::Bad),
        TaskState::Running => Some(Colour::Busy),
        TaskState::Pending | TaskState::Waiting => None,
        TaskState::Cancelled => Some(Colour::Dim),
    };
    Cell::from(state.as_str()).in_colour(colour)
}
