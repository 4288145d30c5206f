//! C programs in tests: compiled against the header and the library of this build.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sha2::{Digest as _, Sha256};

/// What the examples promise to compile with.
const STRICT: &[&str] = &["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g", "-pthread"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn include() -> PathBuf {
    root().join("include")
}

/// The libstent.so in STENT_LIB_DIR, else this build's: beside the test's own program, where cargo puts what tests are
/// linked with. The one in the folder above is only as new as the last `cargo build`.
pub fn library() -> PathBuf {
    let library = match std::env::var_os("STENT_LIB_DIR") {
        Some(folder) => PathBuf::from(folder).join("libstent.so"),
        None => std::env::current_exe().unwrap().with_file_name("libstent.so"),
    };
    assert!(library.is_file(), "{} is missing; cargo test builds it with the package", library.display());
    library
}

/// Is there such a program on this machine?
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Compiles C sources to a program in `place`, which finds this build's library when it runs.
pub fn compile(place: &Path, name: &str, sources: &[PathBuf]) -> PathBuf {
    link(&[&["cc"], STRICT].concat(), place, name, sources)
}

/// The same for C++, with the binding's headers.
pub fn compile_cpp(place: &Path, name: &str, source: &Path) -> PathBuf {
    let headers = format!("-I{}", root().join("bindings/cpp/include").display());
    let strict = ["c++", "-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g", "-pthread", &headers];
    link(&strict, place, name, &[source.to_owned()])
}

fn link(compiler: &[&str], place: &Path, name: &str, sources: &[PathBuf]) -> PathBuf {
    let library = library();
    // The program asks for the library by its SONAME.
    let link = place.join("libstent.so.0");
    drop(std::fs::remove_file(&link));
    std::os::unix::fs::symlink(&library, &link).unwrap();
    let program = place.join(name);
    let mut linker = command(compiler);
    linker
        .arg("-o")
        .arg(&program)
        .args(sources.iter().map(|source| object(compiler, source)))
        // One that loads the library itself is not linked with it.
        .arg("-Wl,--as-needed")
        .arg(format!("-L{}", library.with_file_name("").display()))
        .arg("-lstent")
        .arg(format!("-Wl,-rpath,{}", place.display()));
    finish(&mut linker);
    program
}

/// What a source is compiled to: kept by what the compiler gets to see, so it is made anew when any of that is another.
fn object(compiler: &[&str], source: &Path) -> PathBuf {
    let mut seen = finish(command(compiler).arg("-E").arg(source)).into_bytes();
    seen.extend(finish(Command::new(compiler[0]).arg("--version")).into_bytes());
    seen.extend(compiler.join(" ").into_bytes());
    let digest: String = Sha256::digest(&seen).iter().map(|byte| format!("{byte:02x}")).collect();
    let objects = Path::new(env!("CARGO_TARGET_TMPDIR")).join("objects");
    std::fs::create_dir_all(&objects).unwrap();
    let object = objects.join(format!("{digest}.o"));
    if !object.is_file() {
        // Whole or not at all: others may want it too.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let mine = object.with_extension(format!("{}.{}", std::process::id(), MADE.fetch_add(1, Relaxed)));
        finish(command(compiler).arg("-c").arg("-o").arg(&mine).arg(source));
        std::fs::rename(&mine, &object).unwrap();
    }
    object
}

fn command(compiler: &[&str]) -> Command {
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).arg(format!("-I{}", include().display()));
    command
}

/// Runs a program in a folder to its end, which must be a good one; what it printed.
pub fn run(program: &Path, args: &[&str], place: &Path) -> String {
    finish(Command::new(program).args(args).current_dir(place))
}

/// Runs a command to its end, which must be a good one; what it printed.
pub fn finish(command: &mut Command) -> String {
    let what = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|why| panic!("{what} can't be run ({why}); install it"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\nended with {}:\n{said}\n{wrong}", output.status);
    said.into_owned()
}
