//! What all exported functions share, and what lives as long as the process.

pub mod background;
pub mod cancellation;
pub mod context;
pub mod error;
pub mod fork;
pub mod guard;
pub mod handles;
pub mod locals;
pub mod logging;
pub mod panics;
pub mod registry;
pub mod runtime;
pub mod store;
pub mod text;
pub mod threads;
pub mod tracing;

pub use guard::guard;
pub use handles::borrow;
pub use runtime::{away, block_on};
pub use text::{counted, id, lossy, null, optional, required, text, write, write_counted, write_text};
