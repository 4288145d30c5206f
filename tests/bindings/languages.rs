//! The bindings that there are.

use std::path::{Path, PathBuf};

pub struct Language {
    /// Its folder in bindings/, its make target, and the prefix of its functions.
    pub name: &'static str,
    /// Where its tests are, and how their files' names end.
    #[allow(dead_code, reason = "each of the two test programs has its part")]
    pub tests: &'static str,
    #[allow(dead_code, reason = "each of the two test programs has its part")]
    pub ending: &'static str,
    /// How a test of the scenario `fan_out` is written: {name} is `fan_out`, {Name} `FanOut`.
    #[allow(dead_code, reason = "each of the two test programs has its part")]
    pub test: &'static str,
}

pub const LANGUAGES: &[Language] = &[
    Language { name: "cpp", tests: "tests", ending: ".cpp", test: "\"scenario_{name}\"" },
    Language { name: "go", tests: "", ending: "_test.go", test: "func TestScenario{Name}(" },
];

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings").join(name)
}
