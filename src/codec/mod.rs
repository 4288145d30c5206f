//! Records to and from JSON. The only room that knows JSON: the C boundary, custom backends and the JSON columns
//! of the stores all pass here.

mod columns;
mod payload;

pub use columns::*;
