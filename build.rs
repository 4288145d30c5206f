//! Gives the shared library its name.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // Cargo gives a cdylib no SONAME. Its threads can't be unloaded, so neither can it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstent.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
