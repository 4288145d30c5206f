//! What a case is, and the macro by which a file lists its cases.

use futures_util::future::LocalBoxFuture;

use super::house::Store;

/// A test of one thing that a store must do.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(Store) -> LocalBoxFuture<'static, ()>,
}

/// Declares the cases of a file. A function that is not listed is dead code, which the lints refuse.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::check::case::Case] = &[$($crate::check::case::Case {
            name: stringify!($case),
            run: |store| Box::pin($case(store)),
        }),*];
    };
}
