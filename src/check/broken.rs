//! How a case fails: it unwinds with what it expected, without the panic message on stderr, because the report has it.

use std::fmt::{Arguments, Debug};
use std::panic::{Location, resume_unwind};

/// Longer values are shown by their beginning.
const SHOWN_MAX: usize = 2_000;

/// What was expected, what was got, and where in the suite.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub expected: String,
    pub got: String,
    pub place: String,
}

fn shown(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cold]
#[track_caller]
pub(super) fn broken(expected: Arguments<'_>, got: Arguments<'_>) -> ! {
    let place = Location::caller();
    resume_unwind(Box::new(Broken {
        expected: shown(expected.to_string()),
        got: shown(got.to_string()),
        place: format!("{}:{}", place.file(), place.line()),
    }))
}

#[cold]
#[track_caller]
pub(super) fn differs(got: &dyn Debug, expected: &dyn Debug, told: Option<Arguments<'_>>) -> ! {
    match told {
        Some(told) => broken(format_args!("{expected:?} ({told})"), format_args!("{got:?}")),
        None => broken(format_args!("{expected:?}"), format_args!("{got:?}")),
    }
}

/// In place of the standard macros of these names, in the suite.
macro_rules! assert_eq {
    ($got:expr, $expected:expr $(,)?) => {
        match (&$got, &$expected) {
            (got, expected) => {
                if !(*got == *expected) {
                    $crate::check::broken::differs(&got, &expected, None)
                }
            }
        }
    };
    ($got:expr, $expected:expr, $($told:tt)+) => {
        match (&$got, &$expected) {
            (got, expected) => {
                if !(*got == *expected) {
                    $crate::check::broken::differs(&got, &expected, Some(format_args!($($told)+)))
                }
            }
        }
    };
}

macro_rules! assert_ne {
    ($got:expr, $other:expr $(,)?) => {
        match (&$got, &$other) {
            (got, other) => {
                if *got == *other {
                    $crate::check::broken::broken(format_args!("not {other:?}"), format_args!("{got:?}"))
                }
            }
        }
    };
}

macro_rules! assert {
    ($holds:expr $(,)?) => {
        if !$holds {
            $crate::check::broken::broken(format_args!("{}", stringify!($holds)), format_args!("false"))
        }
    };
    ($holds:expr, $($told:tt)+) => {
        if !$holds {
            $crate::check::broken::broken(format_args!("{}", stringify!($holds)), format_args!($($told)+))
        }
    };
}

macro_rules! panic {
    () => {
        $crate::check::broken::broken(format_args!("another answer"), format_args!("this one"))
    };
    ($($told:tt)*) => {
        $crate::check::broken::broken(format_args!("another answer"), format_args!($($told)*))
    };
}
