//! `stent ui` without a browser: what it answers, whom it refuses, what it does, and that nothing of a store is markup.

mod acting;
mod document;
mod guarding;
mod hostile;
mod looking;
mod printed;
mod served;

pub use served::Served;
