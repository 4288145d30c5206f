//! The header, as cbindgen makes it, with what cbindgen can't be told.

use std::fs;
use std::path::{Path, PathBuf};

/// The header's parts, in its order: one for each noun. A folder is entered by its mod.rs, and its other files follow.
const PARTS: [&str; 10] = [
    "types.rs",
    "library.rs",
    "error.rs",
    "backend.rs",
    "custom.rs",
    "executor/mod.rs",
    "worker.rs",
    "task/mod.rs",
    "poller/mod.rs",
    "sqlite.rs",
];

/// A comment longer than a line of this width stays as cbindgen wrote it.
const WIDTH: usize = 120;

pub fn header(root: &Path) -> String {
    let source = root.join("src/ffi");
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    config.header = Some(comment(&module_doc(&source.join("mod.rs"))));
    config.after_includes = Some(macros());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for part in PARTS {
        builder = builder.with_src(source.join(part));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("make the header from src/ffi").write(&mut bytes);
    let text = String::from_utf8(bytes).expect("the sources are UTF-8");
    // C++ wants [[nodiscard]] before all else.
    let text = text.replace("STENT_API\nSTENT_NODISCARD\n", "STENT_NODISCARD STENT_API\n");
    let text = text.replace("STENT_API STENT_NODISCARD ", "STENT_NODISCARD STENT_API ");
    let mut lines = tidy(&text);
    for part in PARTS {
        for file in files(&source.join(part)) {
            insert_heading(&mut lines, &file);
        }
    }
    lines.join("\n") + "\n"
}

/// What no constant of Rust's can be.
fn macros() -> String {
    let parts = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    let [major, minor, patch] = parts.map(|part| part.parse::<u32>().expect("a version is made of numbers"));
    let number = major * 1_000_000 + minor * 1_000 + patch;
    format!(
        r#"
/** The version of this header; stent_version gives the library's. */
#define STENT_VERSION_STRING "{major}.{minor}.{patch}"
#define STENT_VERSION_MAJOR {major}
#define STENT_VERSION_MINOR {minor}
#define STENT_VERSION_PATCH {patch}

/** Major * 1000000 + minor * 1000 + patch, for #if. */
#define STENT_VERSION_NUMBER {number}

/** Stands before every function: its name is seen, whatever -fvisibility says. Yours instead, if you define it before. */
#ifndef STENT_API
#if defined(__GNUC__)
#define STENT_API __attribute__((visibility("default")))
#else
#define STENT_API
#endif
#endif

/**
 * Stands where a result that is dropped is a leak or a lost error, and a compiler that knows how warns of it. It does not
 * stand at what is only told (stent_task_progress, stent_task_log) or ended (stent_worker_drain, stent_shutdown). Define
 * it before, as nothing, to have no such warnings.
 */
#ifndef STENT_NODISCARD
#if defined(__cplusplus) && __cplusplus >= 201703L
#define STENT_NODISCARD [[nodiscard]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L
#define STENT_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define STENT_NODISCARD __attribute__((warn_unused_result))
#else
#define STENT_NODISCARD
#endif
#endif"#
    )
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
