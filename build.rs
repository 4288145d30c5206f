//! Makes from src/ffi the header, the declarations alone, and a description that machines read; and gives the shared
//! library its name.

#[path = "build/description.rs"]
mod description;
#[path = "build/header.rs"]
mod header;

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    for source in ["src/ffi", "cbindgen.toml", "build.rs", "build", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={source}");
    }
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/ffi");
    let made = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // A build writes nothing into the source tree: `make header` does, and tests/header.rs compares.
    let text = header::generate(&source);
    let items = description::read(&text);
    fs::write(made.join("stent.cdef"), description::declarations(&items)).expect("write the declarations to OUT_DIR");
    fs::write(made.join("stent.json"), description::json(&items)).expect("write the description to OUT_DIR");
    fs::write(made.join("stent.h"), text).expect("write the header to OUT_DIR");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // Cargo gives a cdylib no SONAME. Its threads can't be unloaded, so neither can it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstent.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
