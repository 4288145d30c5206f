//! A service: it works until SIGTERM or SIGINT, lets what runs come to its end, and goes. What waits goes on with the next
//! start, here or elsewhere.
//!
//!   service [<store url>]

use std::error::Error;
use std::time::Duration;

use stent::{DispatchOptions, Executor, Failure, Function, Signal, SignalOptions, Status, StopSignals, Store};

const PRICE: Function<(String,), usize> = Function::new("price");
const ORDER: Function<(String,), String> = Function::new("order");
const PAID: Signal<bool> = Signal::new("paid");

fn main() -> Result<(), Box<dyn Error>> {
    // Before the first handler may run, so that no signal is lost.
    let mut ends = StopSignals::catch()?;
    let url = std::env::args().nth(1).unwrap_or_else(|| "service.db".to_owned());
    let executor = Executor::new(&Store::open(&url)?)?;
    executor.register(&PRICE, |_, (item,)| Ok(100 * item.len()))?;
    executor.register(&ORDER, |task, (item,)| {
        let cost = task.call(&PRICE, (item.clone(),))?;
        if !task.receive(&PAID)? {
            return Err(Failure::new("Unpaid", item).not_retryable().into());
        }
        Ok(format!("{item} for {cost}"))
    })?;
    let worker = executor.start_worker(&Default::default())?;

    // A real service has its requests here. A key starts it once, however often the service starts.
    let once = DispatchOptions::new().idempotency_key("the first order");
    let ordered = executor.dispatch_with(&ORDER, ("ink".to_owned(),), &once)?;
    match ordered.send_with(&PAID, &true, &SignalOptions::new().id("the payment")) {
        // An earlier start has seen it through.
        Err(why) if why.status() == Status::Conflict => {}
        sent => sent?,
    }
    println!("{}", ordered.result(Some(Duration::from_secs(30)))?);

    let signal = worker.run_until_signal(&mut ends, Some(Duration::from_secs(20)))?;
    println!("ended by signal {}", signal.unwrap_or_default());
    Ok(stent::shutdown(Some(Duration::from_secs(10)))?)
}
