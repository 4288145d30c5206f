//! A worker with nothing to do.

use std::thread::sleep;
use std::time::Duration;

use stent::model::WorkerOptions;

use crate::house::House;
use crate::postgres::{fresh_url, shared};
use crate::proxy::Proxy;

/// One query for each poll, whatever there is in the store that is not for it, or not yet. Beside that it looks for tasks that
/// nobody can run, seldom.
#[test]
fn an_idle_worker_asks_once_in_a_poll_interval() {
    const POLL: Duration = Duration::from_millis(100);
    const POLLS: u32 = 40;
    // In these four seconds it looks twice at most.
    const LOOKS: u64 = 2 * 8;
    let proxy = Proxy::new(&shared().url);
    let house = House::at(&proxy.url(&fresh_url("")));
    house.echo("echo");
    let _worker =
        house.worker_with(WorkerOptions { poll_interval: POLL, poll_interval_max: POLL, ..WorkerOptions::default() });
    house.run("echo", "[]").unwrap();
    house.dispatch("nobody_knows_it", "[]");
    let later = stent::model::DispatchOptions { delay: Some(Duration::from_secs(3600)), ..Default::default() };
    house.on(house.executor.dispatch("echo", "[]".into(), later)).unwrap();
    // What these bring with them is over.
    sleep(3 * POLL);
    let before = proxy.asked();
    sleep(POLLS * POLL);
    let asked = proxy.asked() - before;
    println!("{asked} queries in {POLLS} polls");
    assert!(asked >= 1, "the proxy sees nothing");
    // Intervals are jittered.
    assert!(asked <= u64::from(POLLS) * 5 / 4 + 1 + LOOKS, "{asked} queries in {POLLS} polls");
}
