//! The workflows whose worker dies: one of each kind.

use std::sync::Arc;
use std::time::Duration;

use stent::executor::{Executor, Task};
use stent::model::{
    CallOptions, Failure, FunctionOptions, HoldOf, Number, Payload, Rate, Result, RetryAfter, RetryPolicy, Status,
    TaskOptions, WaitSignalOptions,
};

/// For so long nobody starts after one who was told to wait, or before the next token comes.
pub const PAUSE: Duration = Duration::from_millis(400);

pub struct Workflow {
    pub function: &'static str,
    pub args: &'static str,
    /// Sent before anything runs.
    pub signals: usize,
    /// What is dispatched when it is cancelled; it is cancelled when it waits.
    pub on_cancel: Option<&'static str>,
    /// It is started by a schedule, at so many times.
    pub ticks: usize,
}

const fn plain(function: &'static str) -> Workflow {
    Workflow { function, args: "[]", signals: 0, on_cancel: None, ticks: 0 }
}

pub const CORPUS: &[Workflow] = &[
    plain("sequence"),
    plain("fan_out"),
    plain("one_by_one"),
    plain("sleep"),
    Workflow { signals: 2, ..plain("signals") },
    plain("retry"),
    plain("bad"),
    plain("caught"),
    Workflow { on_cancel: Some("undo"), ..plain("waits") },
    Workflow { on_cancel: Some("undo"), ..plain("cleans_up") },
    plain("idempotent"),
    plain("cached"),
    Workflow { args: "[0]", ..plain("starts_over") },
    plain("steps"),
    Workflow { ticks: 3, ..plain("line") },
    plain("key_is_held"),
    plain("function_is_held"),
    plain("key_has_rate"),
    plain("function_has_rate"),
    plain("queue_has_rate"),
];

fn tries(max_attempts: u32) -> FunctionOptions {
    let policy = RetryPolicy { max_attempts, initial_delay: 0.01, jitter: 0.0, ..RetryPolicy::default() };
    FunctionOptions { retry_policy: Some(policy), ..FunctionOptions::default() }
}

/// How often something starts.
pub fn rate() -> Rate {
    Rate { limit: 1, period: PAUSE.as_secs_f64(), burst: 1 }
}

pub fn register(executor: &Executor) {
    type Body = fn(&Task) -> Result<()>;
    let plain = FunctionOptions::default;
    let cached = || FunctionOptions { cached: true, ..plain() };
    let one_of_key = || FunctionOptions { max_concurrent_per_key: Some(1), ..tries(2) };
    let cleaning = || FunctionOptions { cleanup: Some(Duration::from_secs(600)), ..plain() };
    let functions: [(&str, FunctionOptions, Body); 29] = [
        ("line", plain(), line),
        ("undo", plain(), line),
        ("costly", cached(), line),
        ("flaky", tries(3), flaky),
        ("bad", tries(2), |task| task.fail(Failure::new("Oops", "as always"))),
        ("sequence", plain(), sequence),
        ("fan_out", plain(), fan_out),
        ("one_by_one", plain(), one_by_one),
        ("of_key", one_of_key(), line),
        ("sleep", plain(), sleep),
        ("signals", plain(), signals),
        ("retry", plain(), |task| task.complete(call(task, "flaky", "[]")?)),
        ("caught", plain(), caught),
        ("waits", plain(), waits),
        ("cleans_up", cleaning(), cleans_up),
        ("idempotent", plain(), idempotent),
        ("cached", plain(), |task| both(task, [call(task, "costly", "[1]")?, call(task, "costly", "[1]")?])),
        ("starts_over", plain(), starts_over),
        ("steps", plain(), steps),
        ("key_is_held", plain(), |task| of_one_key(task, "holds_key")),
        ("function_is_held", plain(), |task| of_one_key(task, "holds_function")),
        ("key_has_rate", plain(), |task| of_one_key(task, "rate_of_key")),
        ("function_has_rate", plain(), |task| of_one_key(task, "rate_of_function")),
        ("queue_has_rate", plain(), |task| of_one_key(task, "rate_of_queue")),
        ("holds_key", one_of_key(), |task| told_to_wait(task, HoldOf::Key)),
        ("holds_function", one_of_key(), |task| told_to_wait(task, HoldOf::Function)),
        ("rate_of_key", FunctionOptions { rate_per_key: Some(rate()), ..tries(2) }, line),
        ("rate_of_function", FunctionOptions { rate: Some(rate()), ..tries(2) }, line),
        ("rate_of_queue", FunctionOptions { queue: Some("rated".to_owned()), ..tries(2) }, line),
    ];
    for (name, options, body) in functions {
        let handler = move |task: &Task| body(task).map_or_else(|error| error.status(), |()| Status::Ok);
        executor.register(name, options, Some(Arc::new(handler))).unwrap();
    }
}

fn text(payload: &Payload) -> &str {
    std::str::from_utf8(payload.as_bytes()).unwrap()
}

fn call(task: &Task, function: &str, args: &str) -> Result<Payload> {
    task.call(function, args.into(), CallOptions::default())
}

fn both(task: &Task, results: [Payload; 2]) -> Result<()> {
    task.complete(format!("[{},{}]", text(&results[0]), text(&results[1])).into())
}

/// What it counts is recorded with its end, so it is counted once.
fn line(task: &Task) -> Result<()> {
    task.counter_add("lines", Number::Integer(1))?;
    task.complete(task.args())
}

fn flaky(task: &Task) -> Result<()> {
    if task.info().attempt < 3 { task.fail(Failure::new("Oops", "not yet")) } else { line(task) }
}

fn sequence(task: &Task) -> Result<()> {
    for number in 0..3 {
        let result = call(task, "line", &format!("[{number}]"))?;
        task.counter_add("called", Number::Integer(1))?;
        task.progress(result)?;
    }
    task.state_set("last", "\"over\"".into())?;
    task.complete("\"done\"".into())
}

fn fan_out(task: &Task) -> Result<()> {
    let args = (0..5).map(|number| format!("[{number}]").into()).collect();
    let results = task.map("line", args, CallOptions::default())?;
    task.complete(format!("[{}]", results.iter().map(text).collect::<Vec<_>>().join(",")).into())
}

/// All of one key, which has one slot: the end of a call makes the next one ready. Their queue is shared out.
fn one_by_one(task: &Task) -> Result<()> {
    let shared = TaskOptions {
        fairness_key: Some("k".to_owned()),
        priority_ageing: Some(Duration::from_secs(60)),
        priority: Some(1),
        ..TaskOptions::default()
    };
    calls_of_one_key(task, "of_key", 5, shared)
}

/// Each waits for what the one before it has said or taken.
fn of_one_key(task: &Task, function: &str) -> Result<()> {
    calls_of_one_key(task, function, 3, TaskOptions::default())
}

/// The first one is told to wait.
fn told_to_wait(task: &Task, of: HoldOf) -> Result<()> {
    if text(&task.args()) == "[0]" {
        task.hold(of, RetryAfter::For(PAUSE))?;
    }
    line(task)
}

fn calls_of_one_key(task: &Task, function: &str, count: u32, options: TaskOptions) -> Result<()> {
    let args = (0..count).map(|number| format!("[{number}]").into()).collect();
    let of_key = TaskOptions { concurrency_key: Some("k".to_owned()), ..options };
    let results = task.map(function, args, CallOptions { task: of_key, ..CallOptions::default() })?;
    task.complete(format!("[{}]", results.iter().map(text).collect::<Vec<_>>().join(",")).into())
}

fn sleep(task: &Task) -> Result<()> {
    task.sleep(Duration::from_millis(10), None)?;
    task.complete(call(task, "line", "[\"awake\"]")?)
}

fn signals(task: &Task) -> Result<()> {
    let next = || task.wait_signal("go", WaitSignalOptions::default());
    both(task, [next()?, next()?])
}

fn caught(task: &Task) -> Result<()> {
    match call(task, "bad", "[]") {
        Err(error) if error.status() == Status::Failed => task.complete(call(task, "line", "[\"caught\"]")?),
        Err(other) => Err(other),
        Ok(_) => task.complete("\"it never succeeds\"".into()),
    }
}

fn waits(task: &Task) -> Result<()> {
    call(task, "line", "[]")?;
    task.complete(task.wait_signal("never", WaitSignalOptions::default())?)
}

fn cleans_up(task: &Task) -> Result<()> {
    call(task, "line", "[]")?;
    let told = task.wait_signal("never", WaitSignalOptions::default()).map(drop);
    task.counter_add("told", Number::Integer(1))?;
    for number in 0..2 {
        call(task, "line", &format!("[{number}]"))?;
    }
    told
}

fn idempotent(task: &Task) -> Result<()> {
    let options = || CallOptions { idempotency_key: Some("once".to_owned()), ..CallOptions::default() };
    let once = || task.call("line", "[7]".into(), options());
    both(task, [once()?, once()?])
}

fn starts_over(task: &Task) -> Result<()> {
    let round = call(task, "line", text(&task.args()))?;
    match text(&round) {
        "[0]" => task.continue_with("[1]".into()),
        "[1]" => task.continue_with("[2]".into()),
        _ => task.complete(round),
    }
}

fn steps(task: &Task) -> Result<()> {
    for name in ["charge", "send"] {
        let step = task.step_begin(name, None)?;
        if !step.recorded {
            task.step_end(step.op, Ok(format!("\"{name}\"").into()))?;
        }
    }
    let drawn = task.random()?;
    task.complete(drawn.to_string().into())
}
