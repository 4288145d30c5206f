//! The header is what the sources say, the library has what the header says, and both compile everywhere. It is made here
//! too: `make header` has the first test write what it would compare.

#[path = "../common/c_programs.rs"]
mod c_programs;
mod description;
mod generate;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use c_programs::{finish, has, include, library, root};

/// The committed header without its comments.
fn bare() -> String {
    let text = fs::read_to_string(include().join("stent.h")).expect("include/stent.h");
    let mut bare = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = after.split_once("*/").expect("every comment ends").1;
    }
    bare + rest
}

/// The functions of the header.
fn declared() -> BTreeSet<String> {
    let text = bare();
    let open = text.split('(').map(|before| before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    open.flatten().filter(|word| word.starts_with("stent_")).map(str::to_owned).collect()
}

/// The header and what is read out of it: the declarations alone, and the description that machines read.
fn generated() -> [(&'static str, String); 4] {
    let header = generate::header(root());
    let items = description::read(&header);
    [
        ("include/stent.cdef", description::declarations(&items)),
        ("include/stent.json", description::json(&items)),
        // The Go module has its own header, since it is taken without the rest of this repository.
        ("bindings/go/stent.h", header.clone()),
        ("include/stent.h", header),
    ]
}

#[test]
fn what_is_committed_is_what_the_sources_say() {
    for (file, generated) in generated() {
        let path = root().join(file);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        if committed == generated {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, generated).expect(file);
            println!("{file} is new; look at the difference: git diff {file}");
            continue;
        }
        let mut lines = committed.lines().zip(generated.lines()).enumerate();
        let differs = lines.find(|(_, (committed, generated))| committed != generated);
        panic!("{file} is not what src/ffi says; run `make header`\nfirst difference: {differs:?}");
    }
}

/// The declarations alone are C, and the same as the header's: one that differed would be a conflict.
#[test]
fn the_declarations_alone_are_the_headers() {
    let place = tempfile::tempdir().expect("a folder for the test");
    let source = place.path().join("both.c");
    let [cdef, json] = ["stent.cdef", "stent.json"].map(|name| fs::read_to_string(include().join(name)).expect(name));
    // Constants are macros in the one and enumerators in the other, and a structure without a tag is another each time.
    let (declarations, _) = cdef.split_once("enum {").expect("the constants come last");
    let declarations: String = declarations
        .lines()
        .filter(|line| !line.starts_with("typedef struct {"))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(&source, format!("#include \"stent.h\"\n{declarations}")).expect("write");
    finish(Command::new("cc").args(["-std=c11", "-Werror", "-fsyntax-only", "-I"]).arg(include()).arg(&source));
    fs::write(&source, format!("#include <stddef.h>\n#include <stdint.h>\n{cdef}")).expect("write");
    finish(
        Command::new("cc").args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]).arg(&source),
    );
    assert!(!cdef.contains('#'), "no preprocessor's directives");
    let declared = declared();
    for text in [cdef, json.replace("\"name\": \"", "\n").replace("\", \"returns\"", "(")] {
        let words = text.split('(').filter_map(|before| before.rsplit([' ', '*', '\n']).next());
        let found: BTreeSet<String> = words.filter(|word| declared.contains(*word)).map(str::to_owned).collect();
        assert_eq!(found, declared);
    }
}

/// A result that is dropped is a leak or a lost error, and compilers say so; where it is neither, they don't.
#[test]
fn compilers_warn_of_results_that_are_dropped() {
    let place = tempfile::tempdir().expect("a folder for the test");
    for (compiler, dialect) in [("gcc", "c11"), ("gcc", "c2x"), ("g++", "c++11"), ("g++", "c++17")] {
        let compiles = |statement: &str, more: &[&str]| {
            let source = place.path().join(if compiler == "gcc" { "dropped.c" } else { "dropped.cpp" });
            let text = format!(
                "#include \"stent.h\"\nvoid f(stent_task *task);\nvoid f(stent_task *task) {{ {statement}; }}\n"
            );
            fs::write(&source, text).expect("write");
            let mut command = Command::new(compiler);
            // Some of it is found where code is made only.
            command.arg(format!("-std={dialect}")).args(["-Werror", "-S", "-o", "/dev/null", "-I"]).arg(include());
            command.args(more).arg(&source).output().expect("a compiler").status.success()
        };
        assert!(!compiles("stent_task_ref(task)", &[]), "{dialect}: a reference is lost");
        assert!(!compiles("stent_task_sleep(task, \"1s\", 0)", &[]), "{dialect}: a status is lost");
        assert!(compiles("stent_task_progress(task, 0, 0)", &[]), "{dialect}: this may be dropped");
        assert!(compiles("stent_task_ref(task)", &["-DSTENT_NODISCARD="]), "{dialect}: it can be turned off");
    }
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let listing = finish(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let exported: BTreeSet<String> =
        listing.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, declared());
}

#[test]
fn the_library_has_its_name_and_stays_loaded() {
    let dynamic = finish(Command::new("readelf").args(["-d", "-W"]).arg(library()));
    assert!(dynamic.contains("Library soname: [libstent.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// A stack that was written over is found before it is used.
#[test]
fn the_c_parts_have_a_stack_protector() {
    let wanted = finish(Command::new("nm").args(["-D", "--undefined-only"]).arg(library()));
    assert!(wanted.contains("__stack_chk_fail"), "see CFLAGS in .cargo/config.toml");
}

/// Linked into a host that has a SQLite of its own, and other Rust, the archive disturbs neither.
#[test]
fn the_archive_has_no_names_but_the_headers() {
    let place = tempfile::tempdir().expect("a folder for the test");
    let archive = place.path().join("libstent.a");
    // Cargo test builds one beside the library.
    let built = library().with_file_name("libstent.a");
    finish(Command::new(root().join("scripts/archive")).arg(built).arg(&archive));
    let listing = finish(Command::new("nm").args(["-g", "--defined-only"]).arg(&archive));
    let names = listing.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), declared());

    let source = place.path().join("host.c");
    let program = place.path().join("host");
    fs::write(&source, HOST_WITH_SQLITE).expect("write");
    finish(Command::new("cc").arg("-I").arg(include()).arg("-o").arg(&program).arg(&source).arg(&archive).args([
        "-lpthread",
        "-lm",
        "-ldl",
    ]));
    finish(Command::new(&program).arg(place.path().join("store.db")));
}

/// What the host calls SQLite is not what the library does.
const HOST_WITH_SQLITE: &str = r#"
#include "stent.h"
int sqlite3_open_v2(const char *name, void **db, int flags, const char *vfs) { (void)name, (void)flags, (void)vfs; *db = 0; return 42; }
int main(int count, char **arguments) {
    void *db;
    stent_backend *backend = 0;
    if (count != 2 || stent_backend_open(arguments[1], 0, &backend, 0) != STENT_OK) return 1;
    stent_backend_free(backend);
    if (stent_shutdown(60000, 0) != STENT_OK) return 2;
    return sqlite3_open_v2("", &db, 0, 0) == 42 ? 0 : 3;
}
"#;

/// Law: nothing by value but integers; no variadics, no bool, no C enums, no bit-fields across the border.
#[test]
fn only_plain_types_cross_the_border() {
    let text = bare();
    for forbidden in ["bool", "enum", "union", "float", "double", "long", "..."] {
        assert!(!text.contains(forbidden), "the header has '{forbidden}' in it");
    }
    // The one structure is handed in by its address, and says how long it is.
    assert_eq!(text.matches("struct {").count(), 1);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("typedef struct { size_t struct_size;") && words.contains("} stent_backend_vtable;"));
    let text = text.replace("typedef struct {", "");
    for line in text.lines().filter(|line| line.contains("struct ")) {
        assert!(line.starts_with("typedef struct stent_") && line.ends_with(';'), "no opaque handle: {line}");
    }
}

#[test]
fn every_function_says_on_which_threads_it_may_be_called() {
    let text = fs::read_to_string(include().join("stent.h")).expect("include/stent.h");
    let functions = declared();
    let mut named = 0;
    for block in text.split("/**").skip(1) {
        let (comment, code) = block.split_once("*/").expect("every comment ends");
        let name = code.split('(').next().and_then(|words| words.rsplit([' ', '*', '\n']).next()).unwrap_or_default();
        if functions.contains(name) {
            assert!(comment.to_lowercase().contains("thread"), "{name} does not say on which threads it may be called");
            named += 1;
        }
    }
    assert_eq!(named, functions.len(), "a function has no comment of its own");
}

/// Alone, in every dialect that hosts use, without a warning.
#[test]
fn the_header_compiles_alone() {
    let place = tempfile::tempdir().expect("a folder for the test");
    let c = ["c99", "c11", "c17", "c2x"];
    let cpp = ["c++11", "c++17", "c++20"];
    let dialects = c.map(|dialect| ("c", dialect)).into_iter().chain(cpp.map(|dialect| ("c++", dialect)));
    let mut compiled = 0;
    for (language, dialect) in dialects {
        let source = place.path().join(format!("alone.{}", if language == "c" { "c" } else { "cpp" }));
        fs::write(&source, "#include \"stent.h\"\n#include \"stent.h\"\nint stent_header_alone;\n").expect("write");
        let (gnu, llvm) = if language == "c" { ("gcc", "clang") } else { ("g++", "clang++") };
        assert!(has(gnu), "{gnu} is missing; install a C and a C++ compiler (apt: build-essential)");
        for compiler in [gnu, llvm].into_iter().filter(|compiler| has(compiler)) {
            finish(
                Command::new(compiler)
                    .args([&format!("-std={dialect}"), "-x", language, "-Wall", "-Wextra", "-pedantic", "-Werror"])
                    .args(["-Wstrict-prototypes"].iter().filter(|_| language == "c"))
                    .args(["-fsyntax-only", "-I"])
                    .arg(include())
                    .arg(&source),
            );
            compiled += 1;
        }
    }
    assert!(compiled >= c.len() + cpp.len());
}
