//! The functions of bindings/scenarios.md, in Rust.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use stent::{
    Bytes, CallOptions, Executor, Failure, Function, FunctionOptions, HandlerResult, Result, RetryPolicy, Status, Task,
};

/// `greet(name)`
pub const GREET: Function<(String,), String> = Function::new("rust.greet");
/// `add(a, b)`
pub const ADD: Function<(i64, i64), i64> = Function::new("rust.add");
/// `square(n)`
pub const SQUARE: Function<(i64,), i64> = Function::new("rust.square");
/// `flaky(times)`
pub const FLAKY: Function<(u32,), u32> = Function::new("rust.flaky");
/// `charge(card)`
pub const CHARGE: Function<(String,), ()> = Function::new("rust.charge");
/// `append(file, line)`
pub const APPEND: Function<(String, String), usize> = Function::new("rust.append");
/// `mark(file, n)`
pub const MARK: Function<(String, u32), u32> = Function::new("rust.mark");
/// `until_cancelled(file)`
pub const UNTIL_CANCELLED: Function<(String,), ()> = Function::new("rust.until_cancelled");
/// `reversed(bytes)`
pub const REVERSED: Function<(Bytes,), Bytes> = Function::new("rust.reversed");
/// `hello(name)`
pub const HELLO: Function<(String,), String> = Function::new("rust.hello");
/// `sequence(n)`
pub const SEQUENCE: Function<(i64,), i64> = Function::new("rust.sequence");
/// `fan_out(n)`
pub const FAN_OUT: Function<(i64,), i64> = Function::new("rust.fan_out");
/// `race(function, args, duration)`
pub const RACE: Function<(String, Vec<Value>, String), Value> = Function::new("rust.race");
/// `sleeper(duration)`
pub const SLEEPER: Function<(String,), Value> = Function::new("rust.sleeper");
/// `inbox(n)`
pub const INBOX: Function<(u32,), Vec<Value>> = Function::new("rust.inbox");
/// `retried(times)`
pub const RETRIED: Function<(u32,), u32> = Function::new("rust.retried");
/// `patient()`
pub const PATIENT: Function<(), Vec<u32>> = Function::new("rust.patient");
/// `put_off()`
pub const PUT_OFF: Function<(), (u32, Vec<u32>)> = Function::new("rust.put_off");
/// `purchase(card, caught)`
pub const PURCHASE: Function<(String, bool), Value> = Function::new("rust.purchase");
/// `throws()`
pub const THROWS: Function<(), ()> = Function::new("rust.throws");
/// `holder(file)`
pub const HOLDER: Function<(String,), ()> = Function::new("rust.holder");
/// `marks(file, n)`
pub const MARKS: Function<(String, u32), Vec<u32>> = Function::new("rust.marks");
/// `once(file)`
pub const ONCE: Function<(String,), Vec<usize>> = Function::new("rust.once");
/// `ledger(n)`
pub const LEDGER: Function<(i64,), ()> = Function::new("rust.ledger");
/// A function of any language, with its arguments.
pub type Step = (String, Vec<Value>);
/// `relay(steps)`
pub const RELAY: Function<(Vec<Step>,), Vec<Value>> = Function::new("rust.relay");

/// Registers all of them.
pub fn register(executor: &Executor) -> Result<()> {
    activities(executor)?;
    orchestrators(executor)
}

fn activities(executor: &Executor) -> Result<()> {
    executor.register(&GREET, |_, (name,)| Ok(format!("hello, {name}")))?;
    executor.register(&ADD, |_, (a, b)| Ok(a + b))?;
    executor.register(&SQUARE, |_, (n,)| Ok(n * n))?;
    let policy = RetryPolicy::new().max_attempts(5u32).initial_delay("20ms").jitter(0);
    executor.register_with(&FLAKY, &FunctionOptions::new().retry_policy(policy), |task, (times,)| {
        let attempt = task.info()?.attempt;
        if attempt <= times {
            return Err(Failure::new("Flaky", format!("attempt {attempt}")).into());
        }
        Ok(attempt)
    })?;
    let policy = RetryPolicy::new().max_attempts(5u32).delays(vec!["20ms".into()]).max_elapsed("1h").jitter(0);
    executor.register_with(&PATIENT, &FunctionOptions::new().retry_policy(policy), |task, ()| {
        let info = task.info()?;
        if info.snoozes == 0 {
            task.snooze("20ms")?;
        } else if info.attempt == 1 {
            return Err(Failure::new("Busy", "come back later").retry_after(1).into());
        }
        Ok(vec![info.snoozes, info.attempt])
    })?;
    executor.register(&CHARGE, |_, (card,)| {
        let declined = Failure::new("CardDeclined", format!("the card {card} was declined"));
        Err(declined.code("card_declined").details(json!({"card": card})).not_retryable().into())
    })?;
    executor.register(&APPEND, |_, (file, line)| {
        append_line(&file, &line)?;
        Ok(lines(&file).len())
    })?;
    executor.register(&MARK, |task, (file, n)| {
        append_line(&file, &n.to_string())?;
        while n == 3 && !Path::new(&format!("{file}.go")).exists() && !task.is_cancelled() {
            sleep(Duration::from_millis(10));
        }
        Ok(n)
    })?;
    executor.register(&UNTIL_CANCELLED, |task, (file,)| {
        append_line(&file, "started")?;
        while !task.is_cancelled() {
            sleep(Duration::from_millis(10));
        }
        append_line(&file, "cancelled")?;
        // Answers that the task is cancelled.
        Ok(task.heartbeat(&())?)
    })?;
    executor.register(&REVERSED, |_, (Bytes(mut bytes),)| {
        bytes.reverse();
        Ok(Bytes(bytes))
    })
}

fn orchestrators(executor: &Executor) -> Result<()> {
    executor.register(&HELLO, |task, (name,)| Ok(task.call(&GREET, (name,))?))?;
    executor.register(&SEQUENCE, |task, (mut n,)| {
        for i in 1..=5 {
            n = task.call(&ADD, (n, i))?;
        }
        Ok(n)
    })?;
    executor.register(&FAN_OUT, |task, (n,)| {
        let squares = (1..=n).map(|i| task.spawn(&SQUARE, (i,))).collect::<Result<Vec<_>>>()?;
        Ok(task.wait_all(&squares)?.iter().sum())
    })?;
    executor.register(&RACE, race)?;
    executor.register(&SLEEPER, |task, (time,)| {
        let began = task.now()?;
        task.sleep(time)?;
        Ok(json!({"began": began, "woke": task.now()?}))
    })?;
    executor
        .register(&INBOX, |task, (n,)| Ok((0..n).map(|_| task.wait_signal("message")).collect::<Result<_>>()?))?;
    executor.register(&RETRIED, |task, (times,)| Ok(task.call(&FLAKY, (times,))?))?;
    executor.register(&PUT_OFF, |task, ()| {
        let snoozes = task.info()?.snoozes;
        if snoozes == 0 {
            task.snooze(Duration::from_millis(20))?;
            return Ok((0, Vec::new()));
        }
        Ok((snoozes, task.call(&PATIENT, ())?))
    })?;
    executor.register(&PURCHASE, purchase)?;
    let policy = RetryPolicy::new().max_attempts(1u32);
    executor.register_with(&THROWS, &FunctionOptions::new().retry_policy(policy), |_, ()| {
        Err(io::Error::other("out of paper").into())
    })?;
    executor.register(&HOLDER, |task, (file,)| Ok(task.call(&UNTIL_CANCELLED, (file,))?))?;
    executor.register(&MARKS, |task, (file, n)| {
        Ok((1..=n).map(|i| task.call(&MARK, (file.clone(), i))).collect::<Result<_>>()?)
    })?;
    executor.register(&ONCE, |task, (file,)| {
        let options = CallOptions::new().idempotency_key(file.clone());
        let paid = || task.call_with(&APPEND, (file.clone(), "paid".to_owned()), &options);
        Ok(vec![paid()?, paid()?])
    })?;
    executor.register(&LEDGER, |task, (n,)| {
        for i in 1..=n {
            task.counter_add("items", 1)?;
            task.counter_add("total", i)?;
            task.state_set("last", &json!({"i": i}))?;
            task.progress(&json!({"i": i}))?;
            task.call(&ADD, (i, 0))?;
        }
        Ok(())
    })?;
    executor.register(&RELAY, |task, (steps,)| {
        let step = |(function, args)| task.call(&Function::named(function), args);
        Ok(steps.into_iter().map(step).collect::<Result<_>>()?)
    })
}

fn race(task: &Task, (function, args, time): (String, Vec<Value>, String)) -> HandlerResult<Value> {
    let call = task.spawn(&Function::<Vec<Value>, Value>::named(format!("rust.{function}")), args)?;
    let sleep = task.spawn_sleep(time)?;
    if task.wait_any(&[call.any(), sleep.any()])? == 0 {
        task.cancel(sleep)?;
        return Ok(json!({"winner": "call", "result": task.result(call)?}));
    }
    task.cancel(call)?;
    Ok(json!({"winner": "sleep"}))
}

fn purchase(task: &Task, (card, caught): (String, bool)) -> HandlerResult<Value> {
    match task.call(&CHARGE, (card,)) {
        Err(error) if caught && error.status() == Status::Failed => {
            let failure = error.failure().ok_or_else(|| error.clone())?;
            let Failure { kind, message, code, details, .. } = failure;
            Ok(json!({"type": kind, "message": message, "code": code, "details": details}))
        }
        other => Ok(json!(other?)),
    }
}

/// Adds a line to a file: by one write in append mode, so that lines of several processes don't mix.
pub fn append_line(file: &str, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(file)?.write_all(format!("{line}\n").as_bytes())
}

/// The lines of a file; none if it is not there.
pub fn lines(file: &str) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}
