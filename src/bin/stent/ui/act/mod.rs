//! What can be done. Each act has a form, is confirmed, and leaves a line in the audit log.

mod asked;
mod dispatch;
mod doing;
mod kind;
mod preview;

pub use asked::Asked;
pub use dispatch::OFFERS;
pub use doing::{Done, perform};
#[cfg(test)]
pub use kind::ACTS;
pub use kind::{Act, Of};
pub use preview::{Preview, preview};
