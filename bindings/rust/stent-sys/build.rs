//! Finds the library: in the folder that STENT_LIB_DIR names, where pkg-config says, or in the repository's target folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const ARCHIVE: &str = "libstent.a";
const SHARED: &str = "libstent.so";

fn main() {
    for name in ["STENT_LIB_DIR", "STENT_LINK", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let names = match env::var("STENT_LINK").as_deref() {
        Ok("shared") => &[SHARED][..],
        Ok("static") => &[ARCHIVE],
        Ok("") | Err(_) => &[ARCHIVE, SHARED],
        Ok(other) => {
            eprintln!("STENT_LINK is {other:?}; it must be \"shared\" or \"static\"");
            exit(1)
        }
    };
    let mut looked = Vec::new();
    let found = places(&mut looked).into_iter().find_map(|place| {
        names.iter().find_map(|name| {
            let file = place.join(name);
            looked.push(file.display().to_string());
            file.is_file().then_some((place.clone(), *name))
        })
    });
    let Some((place, name)) = found else {
        // Cargo shows it under this crate's name.
        eprintln!("Stent's library was not found. Looked for:");
        looked.iter().for_each(|what| eprintln!("  {what}"));
        eprintln!("STENT_LIB_DIR names the folder of one that is elsewhere; in the repository `make lib` builds it.");
        exit(1)
    };
    println!("cargo:rerun-if-changed={}", place.join(name).display());
    println!("cargo:rustc-link-search=native={}", place.display());
    if name == ARCHIVE {
        // Not copied into the crate's own archive: the linker reads it where it is.
        println!("cargo:rustc-link-lib=static:-bundle=stent");
        println!("cargo:rustc-link-lib=dylib=m");
    } else {
        println!("cargo:rustc-link-lib=dylib=stent");
    }
}

/// The folders to look in. What is named is the only one.
fn places(looked: &mut Vec<String>) -> Vec<PathBuf> {
    if let Some(named) = env::var_os("STENT_LIB_DIR") {
        return vec![PathBuf::from(named)];
    }
    let mut places = Vec::new();
    match Command::new("pkg-config").args(["--variable=libdir", "stent"]).output() {
        Ok(said) if said.status.success() => {
            places.push(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
        }
        Ok(_) => looked.push("stent.pc, which pkg-config does not find (PKG_CONFIG_PATH)".to_owned()),
        Err(why) => looked.push(format!("stent.pc, by pkg-config, which can't be run: {why}")),
    }
    // bindings/rust/stent-sys, three below the repository.
    let repository = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../..");
    if repository.join("include/stent.h").is_file() {
        places.push(repository.join("target/release"));
    }
    places
}
