//! Makes the header from src/ffi, and gives the shared library its name.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The header's parts, in its order: one for each noun. A folder is entered by its mod.rs, and its other files follow.
const PARTS: [&str; 9] = [
    "types.rs",
    "library.rs",
    "error.rs",
    "backend.rs",
    "custom.rs",
    "executor/mod.rs",
    "worker.rs",
    "task/mod.rs",
    "poller/mod.rs",
];

/// A comment longer than a line of this width stays as cbindgen wrote it.
const WIDTH: usize = 120;

fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=STENT_HEADER");
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/ffi");
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("stent.h");
    let text = generate(&source);
    // A build writes nothing into the source tree unless it is told to (`make header`); tests/header.rs compares.
    if env::var("STENT_HEADER").as_deref() == Ok("write") {
        fs::write("include/stent.h", &text).expect("write include/stent.h");
    }
    fs::write(&header, text).expect("write the header to OUT_DIR");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // Cargo gives a cdylib no SONAME. Its threads can't be unloaded, so neither can it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstent.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

fn generate(source: &Path) -> String {
    let mut config = cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml");
    config.header = Some(comment(&module_doc(&source.join("mod.rs"))));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for part in PARTS {
        builder = builder.with_src(source.join(part));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("make the header from src/ffi").write(&mut bytes);
    let text = String::from_utf8(bytes).expect("the sources are UTF-8");
    let mut lines = tidy(&text);
    for part in PARTS {
        for file in files(&source.join(part)) {
            insert_heading(&mut lines, &file);
        }
    }
    lines.join("\n") + "\n"
}

/// The part itself, and, of a folder, the rest of it.
fn files(part: &Path) -> Vec<PathBuf> {
    let mut files = vec![part.to_owned()];
    if part.ends_with("mod.rs") {
        let folder = fs::read_dir(part.parent().expect("a part is in a folder")).expect("read the folder");
        let rest = folder.map(|entry| entry.expect("read the folder").path());
        files.extend(rest.filter(|path| path != part));
    }
    files
}

/// What a source says of itself at its top stands in the header too: the conventions of mod.rs first, and the rest
/// above the first function of each file.
fn module_doc(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("read a source");
    text.lines().map_while(|line| line.strip_prefix("//!")).map(str::to_owned).collect()
}

fn comment(lines: &[String]) -> String {
    let body: Vec<String> = lines.iter().map(|line| format!(" *{line}\n")).collect();
    format!("/*\n{} */", body.concat())
}

fn insert_heading(lines: &mut Vec<String>, file: &Path) {
    let text = fs::read_to_string(file).expect("read a source");
    let Some(name) = text.split("extern \"C\" fn stent_").nth(1).and_then(|rest| rest.split('(').next()) else {
        return;
    };
    let Some(at) = lines.iter().position(|line| line.contains(&format!("stent_{name}("))) else { return };
    let above = lines[..at].iter().rposition(|line| line.starts_with("/**")).expect("every function has its comment");
    let mut heading = vec!["/* ".to_owned() + &"=".repeat(WIDTH - 3)];
    heading.extend(module_doc(file).iter().map(|line| format!(" *{line}")));
    heading.extend([" */".to_owned(), String::new()]);
    lines.splice(above..above, heading);
}

/// What cbindgen can't be told: a negative number in an expression needs its parentheses, and a comment of one line
/// needs no three.
fn tidy(header: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        if let Some((name, number)) = line.strip_prefix("#define ").and_then(|define| define.split_once(" -")) {
            lines.push(format!("#define {name} (-{number})"));
            continue;
        }
        lines.push(line.to_owned());
        if let [.., open, only, close] = lines.as_slice()
            && (open.as_str(), close.as_str()) == ("/**", " */")
            && only.len() + 5 <= WIDTH
        {
            let short = format!("/**{} */", &only[2..]);
            lines.truncate(lines.len() - 3);
            lines.push(short);
        }
    }
    lines
}
