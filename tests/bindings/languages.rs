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
    /// What runs such a test on both stores, when its first line does not say so already.
    #[allow(dead_code, reason = "each of the two test programs has its part")]
    pub on_both: &'static str,
}

pub const LANGUAGES: &[Language] = &[
    Language {
        name: "cpp",
        tests: "tests",
        ending: ".cpp",
        test: "TEST_CASE_TEMPLATE(\"scenario_{name}\", Store, sqlite, postgres)",
        on_both: "",
    },
    Language {
        name: "go",
        tests: "",
        ending: "_test.go",
        test: "func TestScenario{Name}(t *testing.T) {\n\tonBothStores(",
        on_both: "",
    },
    Language {
        name: "node",
        tests: "test",
        ending: ".ts",
        test: "  async {name}(stent",
        on_both: "STORES: Store[] = [\"sqlite\", \"postgres\"];",
    },
    Language {
        name: "python",
        tests: "tests",
        ending: ".py",
        test: "async def test_{name}(host: Host",
        on_both: "@pytest.fixture(params=[\"sqlite\", \"postgres\"])\ndef store(",
    },
    Language {
        name: "rust",
        tests: "scenarios/tests",
        ending: ".rs",
        test: "\nfn {name}(here: &Here) {",
        on_both: "\non_both_stores! {",
    },
];

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings").join(name)
}
