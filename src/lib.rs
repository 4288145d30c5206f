//! Stent: durable execution behind one C header. ARCHITECTURE.md explains the layout.

// The suite in `check` is also compiled into test programs, for which this library is a crate.
extern crate self as stent;

pub mod backend;
pub mod check;
pub mod codec;
pub mod executor;
pub mod ffi;
pub mod model;
mod otlp;
pub mod threads;
