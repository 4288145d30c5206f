//! Assertions: a value must be there, or a call must fail; otherwise the case fails.

use std::any::Any;
use std::fmt::Debug;

/// Assertions on options and results.
pub trait Must {
    type There;
    type Failed;

    fn must(self) -> Self::There;

    fn must_fail(self) -> Self::Failed;
}

impl<T: Debug, E: Debug + 'static> Must for std::result::Result<T, E> {
    type There = T;
    type Failed = E;

    #[track_caller]
    fn must(self) -> T {
        match self {
            Ok(there) => there,
            Err(why) => failed(Box::new(why)),
        }
    }

    #[track_caller]
    fn must_fail(self) -> E {
        match self {
            Ok(there) => panic!("an error is due, and it is {there:?}"),
            Err(why) => why,
        }
    }
}

impl<T: Debug> Must for Option<T> {
    type There = T;
    type Failed = ();

    #[track_caller]
    fn must(self) -> T {
        let Some(there) = self else { panic!("nothing is there") };
        there
    }

    #[track_caller]
    fn must_fail(self) {
        assert!(self.is_none(), "it is {self:?}");
    }
}

/// Passes the failure of a spawned part on to its case.
#[track_caller]
fn failed<E: Debug + 'static>(why: Box<E>) -> ! {
    let shown = format!("{why:?}");
    let any: Box<dyn Any> = why;
    match any.downcast::<tokio::task::JoinError>() {
        Ok(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        _ => panic!("{shown}"),
    }
}
