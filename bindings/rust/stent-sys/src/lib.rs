//! Stent's C API, as `stent.h` declares it; the header says what each function does, and who frees what. The crate
//! `stent` makes it safe.
//!
//! The build links `libstent.a` into the program, or, where only that is there or the environment has
//! `STENT_LINK=shared` (or `static`, which takes nothing else than the archive), `libstent.so`. It looks in the folder that `STENT_LIB_DIR` names, else where pkg-config says, else
//! in `target/release` of the repository that this crate lies in.

#![no_std]
#![allow(non_camel_case_types)]

include!("declarations.rs");
