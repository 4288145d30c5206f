//! A case, and how a file lists those that it holds.

use futures_util::future::LocalBoxFuture;

use super::house::Store;

/// A promise that a store makes.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(Store) -> LocalBoxFuture<'static, ()>,
}

/// Declares a file's cases. One that is not listed is dead code, which the lints refuse.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::check::case::Case] = &[$($crate::check::case::Case {
            name: stringify!($case),
            run: |store| Box::pin($case(store)),
        }),*];
    };
}
