//! C programs in tests: compiled against the header and the library of this build.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the examples promise to compile with.
const STRICT: &[&str] = &["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g"];

/// The folder with this build's libstent.so: the test programs lie in a folder below it.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(2).unwrap().to_owned();
    assert!(folder.join("libstent.so").exists(), "{}: no libstent.so there; run `cargo build`", folder.display());
    folder
}

/// Compiles C sources to a program in `place`, which finds this build's library when it runs.
pub fn compile(place: &Path, name: &str, sources: &[PathBuf]) -> PathBuf {
    let library = library();
    // The program asks for the library by its SONAME.
    let link = place.join("libstent.so.0");
    if !link.exists() {
        std::os::unix::fs::symlink(library.join("libstent.so"), &link).unwrap();
    }
    let program = place.join(name);
    let output = Command::new("cc")
        .args(STRICT)
        .arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include"))
        .arg("-o")
        .arg(&program)
        .args(sources)
        .arg(format!("-L{}", library.display()))
        .arg("-lstent")
        .arg(format!("-Wl,-rpath,{}", place.display()))
        .output()
        .unwrap_or_else(|why| panic!("cc can't be run ({why}); install a C compiler"));
    assert!(output.status.success(), "{name} does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a program in a folder to its end, which must be a good one; what it printed.
pub fn run(program: &Path, args: &[&str], place: &Path) -> String {
    let output = Command::new(program).args(args).current_dir(place).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} ended with {}:\n{said}\n{wrong}", program.display(), output.status);
    said.into_owned()
}
