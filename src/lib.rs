//! Stent: durable execution behind one C header. ARCHITECTURE.md is the map.

pub mod backend;
pub mod codec;
pub mod executor;
pub mod ffi;
pub mod model;
