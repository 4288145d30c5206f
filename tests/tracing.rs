//! Spans as a collector gets them, from two processes that work on one execution.

#[path = "common/c_programs.rs"]
mod c_programs;
#[path = "common/collector.rs"]
mod collector;
#[path = "common/postgres.rs"]
mod postgres;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use c_programs::{compile, root};
use collector::{Collector, Told, attribute};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const DISPATCHER: &str = "00f067aa0ba902b7";

/// What the process with the orders has said.
#[derive(Debug)]
struct Said {
    execution: String,
    /// The trace context in the handler that charged.
    charged: String,
    /// Lines of the log, of both processes.
    log: Vec<String>,
    shutdown_ms: u64,
}

/// Both processes on this store, with this environment.
fn workflow(store: Option<String>, dispatch: &str, environment: &[(&str, &str)]) -> Said {
    configured("{}", store, dispatch, environment)
}

/// The same, and the library is configured so.
fn configured(configure: &str, store: Option<String>, dispatch: &str, environment: &[(&str, &str)]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let program = compile(place, "tracing", &[root().join("tests/c/tracing.c")]);
    let store = store.unwrap_or_else(|| place.join("store.db").to_str().unwrap().to_owned());
    let start = |args: &[&str], service: &str| {
        let mut command = Command::new(&program);
        command.arg(place).arg(&store).arg(configure).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied()).env("OTEL_SERVICE_NAME", service).spawn().unwrap()
    };
    let mut cards = start(&["cards"], "cards");
    let mut cards_out = BufReader::new(cards.stdout.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("ready\n") {
        assert!(cards_out.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let orders = end(start(&["orders", dispatch], "orders"));
    drop(cards.stdin.take());
    cards_out.read_to_string(&mut said).unwrap();
    assert!(cards.wait().unwrap().success(), "{said}");
    let all: Vec<&str> = orders.lines().collect();
    let value =
        |name: &str| all.iter().filter_map(|line| line.strip_prefix(name)).next_back().expect(&orders).to_owned();
    let log = said.lines().chain(orders.lines()).filter_map(|line| line.strip_prefix("log ")).map(str::to_owned);
    Said {
        execution: value("execution "),
        charged: value("charged ").trim_matches('"').to_owned(),
        log: log.collect(),
        shutdown_ms: value("shutdown ").parse().unwrap(),
    }
}

fn end(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traceparent(flags: &str) -> String {
    format!(r#"{{"traceparent": "00-{TRACE}-{DISPATCHER}-{flags}"}}"#)
}

/// What docs/tracing.md has for a shell, as it stands there.
fn printed() -> String {
    let page = std::fs::read_to_string(root().join("docs/tracing.md")).unwrap();
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    blocks.concat()
}

#[test]
fn the_pages_lines_switch_it_on() {
    let collector = Collector::new(0, 200);
    let lines = printed().replace("http://localhost:4318", &collector.url);
    let said = Command::new("sh").args(["-ec", &format!("{lines}env -0")]).env_clear().output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let set: Vec<(&str, &str)> =
        said.split('\0').filter_map(|one| one.split_once('=')).filter(|(name, _)| name.starts_with("OTEL_")).collect();
    assert!(set.contains(&("OTEL_SERVICE_NAME", "orders")), "{set:?}");
    let said = workflow(None, "{}", &set);
    let execution = one(&collector.spans(), "execution order").attribute("stent.execution_id");
    assert_eq!(execution, Some(said.execution));
}

/// The spans of this name, in order of their start.
fn named<'a>(spans: &'a [Told], name: &str) -> Vec<&'a Told> {
    let mut found: Vec<&Told> = spans.iter().filter(|told| told.span.name == name).collect();
    found.sort_by_key(|told| told.span.start_time_unix_nano);
    found
}

fn one<'a>(spans: &'a [Told], name: &str) -> &'a Told {
    let found = named(spans, name);
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

fn is_error(told: &Told) -> bool {
    told.span.status.as_ref().is_some_and(|status| status.code == 2)
}

fn the_tree_is_told(store: Option<String>) {
    let collector = Collector::new(0, 200);
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")];
    let said = workflow(store, &traceparent("01"), &environment);
    let spans = collector.spans();
    let heads = collector.heads();
    assert!(
        heads.iter().all(|head| head.starts_with("post /v1/traces ") && head.contains("x-key: a b\r\n")),
        "{heads:?}"
    );
    assert!(spans.iter().all(|told| hex(&told.span.trace_id) == TRACE), "{spans:#?}");
    let ids: BTreeSet<_> = spans.iter().map(|told| told.span.span_id.clone()).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    let of_execution = |told: &Told| told.attribute("stent.execution_id").as_ref() == Some(&said.execution);
    assert!(spans.iter().all(of_execution), "{spans:#?}");

    let root = one(&spans, "execution order");
    assert_eq!(hex(&root.span.parent_span_id), DISPATCHER);
    let outcome = |told: &Told| told.attribute("stent.outcome").unwrap();
    assert!(is_error(root) && outcome(root) == "passed_up" && root.service == "orders", "{root:#?}");
    let below = |told: &Told, parent: &Told| {
        assert_eq!(hex(&told.span.parent_span_id), hex(&parent.span.span_id), "{told:#?} below {parent:#?}");
        let (start, end) = (told.span.start_time_unix_nano, told.span.end_time_unix_nano);
        assert!(start >= parent.span.start_time_unix_nano && end >= start, "{told:#?} in {parent:#?}");
    };

    // Its runs: all but the last one wait.
    let runs = named(&spans, "run order");
    let (last, earlier) = runs.split_last().unwrap();
    runs.iter().for_each(|run| below(run, root));
    assert!(earlier.iter().all(|run| outcome(run) == "suspended" && !is_error(run)), "{runs:#?}");
    assert!(outcome(last) == "passed_up" && is_error(last) && last.service == "orders", "{last:#?}");

    // A retry, in the other process.
    let charge = one(&spans, "task charge");
    below(charge, root);
    assert!(!is_error(charge) && outcome(charge) == "completed" && charge.service == "cards", "{charge:#?}");
    assert_eq!(charge.attribute("stent.queue").as_deref(), Some("cards"));
    let attempts = named(&spans, "run charge");
    attempts.iter().for_each(|attempt| below(attempt, charge));
    let told: Vec<_> = attempts.iter().map(|run| (run.attribute("stent.attempt").unwrap(), outcome(run))).collect();
    assert_eq!(told, [("1".to_owned(), "retried".to_owned()), ("2".to_owned(), "completed".to_owned())]);
    assert_eq!(attempts[1].attribute("stent.worker_id").as_deref(), Some("cards-1"));
    let event = &attempts[0].span.events[0];
    assert_eq!(event.name, "exception");
    let said_of = |name: &str| attribute(&event.attributes, name);
    assert_eq!(said_of("exception.type").as_deref(), Some("CardError"));
    assert_eq!(said_of("exception.message").as_deref(), Some("try again"));
    assert_eq!(said_of("exception.stacktrace").as_deref(), Some("at charge"));
    // What the handler does hangs below its run.
    assert_eq!(said.charged, format!("00-{TRACE}-{}-01", hex(&attempts[1].span.span_id)));

    // Waits.
    let (sleep, signal) = (one(&spans, "wait sleep"), one(&spans, "wait approved"));
    [sleep, signal].iter().for_each(|wait| below(wait, root));
    assert!((0.05..60.0).contains(&sleep.seconds()), "{sleep:#?}");
    let kinds = [sleep, signal].map(|wait| (wait.attribute("stent.kind").unwrap(), outcome(wait)));
    assert_eq!(kinds.map(|(kind, outcome)| format!("{kind} {outcome}")), ["timer completed", "signal completed"]);

    // A line of the log is found with its run's span.
    let letter = said.log.iter().find(|line| line.contains("dead-lettered")).expect("a line about the dead letter");
    let letter: serde_json::Value = serde_json::from_str(letter).unwrap();
    let run = one(&spans, "run refuse");
    let field = |name: &str| letter["fields"][name].as_str().unwrap().to_owned();
    assert_eq!((field("trace_id"), field("span_id")), (TRACE.to_owned(), hex(&run.span.span_id)));
    let named = [
        ("execution", "execution_id"),
        ("task", "task_id"),
        ("function", "function"),
        ("worker", "worker_id"),
        ("attempt", "attempt"),
    ];
    for (name, attribute) in named {
        assert_eq!(Some(field(name)), run.attribute(&format!("stent.{attribute}")), "{letter}");
    }

    // A failure.
    let refuse = one(&spans, "task refuse");
    below(refuse, root);
    let attempt = one(&spans, "run refuse");
    below(attempt, refuse);
    assert_eq!(
        [refuse, attempt].map(|told| (outcome(told), is_error(told))),
        [("dead_lettered".to_owned(), true), ("dead_lettered".to_owned(), true)]
    );
    assert_eq!(attempt.span.status.as_ref().unwrap().message, "OutOfStock: none left");
    assert_eq!(spans.len(), 1 + runs.len() + 3 + 2 + 2, "{spans:#?}");
}

#[test]
fn the_tree_is_told_on_sqlite() {
    the_tree_is_told(None);
}

#[test]
fn the_tree_is_told_on_postgres() {
    the_tree_is_told(Some(postgres::fresh_url("")));
}

#[test]
fn without_a_traceparent_the_trace_is_the_executions_own() {
    let collector = Collector::new(0, 200);
    let said = workflow(None, "{}", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", collector.url))]);
    let spans = collector.spans();
    let root = one(&spans, "execution order");
    assert!(root.span.parent_span_id.is_empty(), "{root:#?}");
    let own = said.execution.replace('-', "");
    assert!(spans.iter().all(|told| hex(&told.span.trace_id) == own), "{spans:#?}");
}

/// Of the environment's endpoints, which nobody listens on, none is asked; its other variables count.
#[test]
fn an_endpoint_in_the_program_counts_more_than_the_environments() {
    let collector = Collector::new(0, 200);
    let configure = format!(r#"{{"otlp_endpoint": "{}/"}}"#, collector.url);
    let environment =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].map(|name| (name, "http://[::1]:9"));
    let said = configured(&configure, None, "{}", &environment);
    let spans = collector.spans();
    let services: BTreeSet<_> = spans.iter().map(|told| told.service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(["cards", "orders"]));
    assert!(
        collector.heads().iter().all(|head| head.starts_with("post /v1/traces ")) && about_spans(&said).is_empty(),
        "{said:#?}"
    );
}

#[test]
fn what_is_not_sampled_is_not_told() {
    let collector = Collector::new(0, 200);
    let said = workflow(None, &traceparent("00"), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    assert!(collector.spans().is_empty() && said.charged.ends_with("-00"), "{said:?} {:#?}", collector.spans());
}

#[test]
fn without_an_endpoint_handlers_have_the_context_of_the_dispatch() {
    let said = workflow(None, &traceparent("01"), &[]);
    assert_eq!(said.charged, format!("00-{TRACE}-{DISPATCHER}-01"));
    assert_eq!(workflow(None, "{}", &[]).charged, "none");
}

fn about_spans(said: &Said) -> Vec<&String> {
    said.log.iter().filter(|line| line.contains("stent.otlp")).collect()
}

/// Each process says it once, and nothing waits for it.
#[test]
fn a_collector_that_is_away_costs_a_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = workflow(None, "{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{free}"))]);
    let lines = about_spans(&said);
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("can't be exported")), "{said:#?}");
    assert!(said.shutdown_ms < 10_000, "{said:#?}");
}

/// It takes connections and never answers.
#[test]
fn a_collector_that_is_silent_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let said = workflow(None, "{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    assert!(said.shutdown_ms < 10_000, "{said:#?}");
}

/// What it refuses for now is sent again.
#[test]
fn a_collector_that_comes_back_gets_what_was_kept() {
    let collector = Collector::new(2, 503);
    let said = workflow(None, "{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    // Of one process both requests may have been refused; it may have ended before a third one.
    assert!(about_spans(&said).iter().any(|line| line.contains("503")), "{said:#?}");
}

#[test]
fn an_endpoint_that_speaks_something_else_is_told() {
    let grpc = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let said = workflow(None, "{}", &grpc);
    let lines = about_spans(&said);
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("http/protobuf")), "{said:#?}");
}
