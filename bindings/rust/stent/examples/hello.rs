use std::time::Duration;

use stent::{Executor, Function, Store, WorkerOptions};

// Functions by name and type: who has one and who calls it agree when they compile.
const GREET: Function<(String,), String> = Function::new("greet");
const WELCOME: Function<(String,), String> = Function::new("welcome");

fn main() -> stent::Result<()> {
    let executor = Executor::new(&Store::open("hello.db")?)?;

    // An activity: does one thing, and its result is recorded once.
    executor.register(&GREET, |_task, (name,)| Ok(format!("hello, {name}")))?;

    // A workflow: calls and waits. After a crash it runs again from the top, and is answered from the record.
    executor.register(&WELCOME, |task, (name,)| {
        let greeting = task.call(&GREET, (name,))?;
        task.sleep("500ms")?;
        Ok(greeting + "!")
    })?;

    let _worker = executor.start_worker(&WorkerOptions::new())?;
    let execution = executor.dispatch(&WELCOME, ("world".to_owned(),))?;
    println!("{}", execution.result(Some(Duration::from_secs(10)))?);
    stent::shutdown(Some(Duration::from_secs(5)))
}
