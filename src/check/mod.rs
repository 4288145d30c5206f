//! The conformance suite: what every store must do, as cases. `stent_backend_check` runs it against any store, and the
//! project's own tests run it against the stores of this library.
//!
//! Cases use the trait [`crate::backend::Backend`], with names of functions and workers of their own, and clean up
//! after themselves. A case fails by unwinding with what was expected and what it got.

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
