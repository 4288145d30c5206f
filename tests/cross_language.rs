//! Start in one language, finish in another: one scenario worker of each binding on one store, once on a SQLite file and
//! once on PostgreSQL.

#[path = "common/c_programs.rs"]
mod c_programs;
#[path = "bindings/languages.rs"]
mod languages;
#[path = "common/postgres.rs"]
mod postgres;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use languages::{LANGUAGES, Language, folder};
use serde_json::{Value, json};
use stent::backend::SharedBackend;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::codec::CanonicalJson;
use stent::executor::{Executor, LogRecord, Logger};
use stent::model::{DispatchOptions, Level, Payload, Result, SqliteOptions};
use tokio::runtime::Runtime;

/// A condition that has not come true by then never will.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

struct Quiet;

impl Logger for Quiet {
    fn log(&self, _: Level, _: &LogRecord) {}
}

/// Where the workers of both tests find the library under both of its names: where we are told, which is what the
/// bindings are linked with that were built already.
fn library_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::var_os("STENT_LIB_DIR").map_or_else(this_build, PathBuf::from);
        // Built before anything runs, and by one thread: two builds of one binding would meet.
        for language in LANGUAGES {
            c_programs::finish(worker_command(language.name, &folder).arg("--build"));
        }
        folder
    })
}

/// This build's library in a folder of its own: a link, so that what was linked with it stays good.
fn this_build() -> PathBuf {
    let library = c_programs::library();
    let folder = library.with_file_name("stent-for-bindings-debug");
    fs::create_dir_all(&folder).unwrap();
    for name in ["libstent.so", "libstent.so.0"] {
        let (link, fresh) = (folder.join(name), folder.join(format!("{name}.{}", std::process::id())));
        std::os::unix::fs::symlink(&library, &fresh).unwrap();
        fs::rename(&fresh, &link).unwrap();
    }
    folder
}

fn worker_command(language: &str, library: &Path) -> Command {
    let mut command = Command::new(folder(language).join("scenario-worker"));
    command.env("STENT_LIB_DIR", library);
    command
}

/// A scenario worker that is ready; it ends with this handle, for its standard input does.
struct Worker {
    language: &'static str,
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(language: &'static str, url: &str) -> Self {
        let mut child = worker_command(language, library_folder())
            .args([url, r#"{"lease_duration": "4s"}"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut worker = Self { language, child, said };
        worker.expect("ready");
        worker
    }

    fn expect(&mut self, wanted: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), wanted, "the worker of {}", self.language);
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.expect("draining");
        self.expect("stopped");
        assert!(self.child.wait().unwrap().success(), "the worker of {}", self.language);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Client {
    runtime: Runtime,
    executor: Executor,
}

impl Client {
    fn new(open: impl Future<Output = Result<SharedBackend>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.block_on(open).unwrap();
        let executor = Executor::new(store, Arc::new(CanonicalJson), runtime.handle().clone(), Arc::new(Quiet));
        Self { runtime, executor }
    }

    /// The result of a function, as the border tells it.
    fn result(&self, function: &str, args: &str) -> String {
        self.runtime.block_on(async {
            let id = self.executor.dispatch(function, Payload::from(args), DispatchOptions::default()).await.unwrap();
            stent::codec::to_json(&self.executor.result(id, PATIENCE).await.unwrap())
        })
    }

    /// The result of a language's relay, or its failure.
    fn relay(&self, language: &str, steps: Value) -> std::result::Result<Value, Value> {
        let args = Payload::from(json!([steps]).to_string());
        self.runtime.block_on(async {
            let id = self.executor.dispatch(&format!("{language}.relay"), args, DispatchOptions::default()).await.unwrap();
            match self.executor.result(id, PATIENCE).await {
                Ok(result) => Ok(serde_json::from_slice(result.as_bytes()).unwrap()),
                Err(why) => {
                    let failure = why.failure().unwrap_or_else(|| panic!("{language}.relay: {why}"));
                    let details: Value =
                        failure.details.as_ref().map_or(Value::Null, |d| serde_json::from_slice(d.as_bytes()).unwrap());
                    Err(json!({"type": failure.kind, "message": failure.message, "code": failure.code, "details": details}))
                }
            }
        })
    }
}

fn run(url: &str, client: &Client) {
    let workers: Vec<Worker> = LANGUAGES.iter().map(|language| Worker::start(language.name, url)).collect();
    let declined = json!({
        "type": "CardDeclined", "message": "the card 42 was declined", "code": "card_declined", "details": {"card": "42"}
    });
    let mut steps = Vec::new();
    let mut results = Vec::new();
    for Language { name, .. } in LANGUAGES {
        for (function, args, result) in [
            ("greet", json!(["ada"]), json!("hello, ada")),
            ("add", json!([2, 3]), json!(5)),
            ("hello", json!(["bo"]), json!("hello, bo")),
            ("purchase", json!(["42", true]), declined.clone()),
            ("reversed", json!([{"$base64": "MzIx"}]), json!({"$base64": "MTIz"})),
        ] {
            steps.push(json!([format!("{name}.{function}"), args]));
            results.push(result);
        }
    }
    for Language { name, .. } in LANGUAGES {
        assert_eq!(client.relay(name, json!(steps)), Ok(json!(results)), "started in {name}");
        assert_eq!(
            client.result(&format!("{name}.reversed"), r#"[{"$base64":"MzIx"}]"#),
            r#"{"$base64":"MTIz"}"#,
            "{name}"
        );
        for Language { name: other, .. } in LANGUAGES {
            let failed = client.relay(name, json!([[format!("{other}.charge"), ["42"]]]));
            assert_eq!(failed.as_ref(), Err(&declined), "started in {name}, failed in {other}");
        }
    }
    for worker in workers {
        worker.end();
    }
}

#[test]
fn all_languages_work_on_one_sqlite_file() {
    let place = tempfile::tempdir().unwrap();
    let url = place.path().join("store.db").to_str().unwrap().to_owned();
    let client = Client::new(async {
        Sqlite::open(&url, SqliteOptions::default()).await.map(|store| -> SharedBackend { store })
    });
    run(&url, &client);
}

#[test]
fn all_languages_work_on_one_postgresql() {
    let url = postgres::fresh_url("");
    let client = Client::new(async { Postgres::open(&url).await.map(|store| -> SharedBackend { store }) });
    run(&url, &client);
}
