//! What every backend must do, case by case: the suite that `stent_backend_check` runs against any store, and that the
//! project's own tests run against the stores of this library.
//!
//! Cases speak to a [`crate::backend::Backend`], with functions and workers of their own names, and clean up behind
//! themselves. A case ends by unwinding, quietly, with what was expected and what was got.

#[macro_use]
mod broken;
#[macro_use]
mod case;
mod cases;
mod house;
mod must;
mod run;
mod scoped;
mod words;

pub use run::{Outcome, Report, Told, check};
