//! A peer that is gone without a word: every call ends all the same, in its own time or the store's, what was said stands
//! once, and work goes on as soon as there is somebody to talk to.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use stent::backend::{Request, Response};
use stent::executor::WorkerState;
use stent::model::{DispatchOptions, Error, Id, Number, Status, WorkerOptions};

use crate::house::{House, text, until};
use crate::postgres::{Server, fresh_url, schema_of, shared};
use crate::proxy::Proxy;

/// A second for what nobody is in the way of, and two for an answer.
const TIMES: &str = "&connect_timeout=2&call_timeout=2";

/// What a busy machine takes, beside the seconds that are promised. Whoever waits for the wire waits for ever.
const BUSY: Duration = Duration::from_secs(10);

/// The longest that a call may take with these: a connection, an answer, and both again for an answer that was lost; and
/// what a busy machine takes.
const STORES: Duration = Duration::from_secs(8).saturating_add(BUSY);

/// What hangs for ever is no failure of a test as long as it hangs.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (over, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        // Nobody waits any more if it took too long.
        let _told = over.send(());
    });
    match told.recv_timeout(Duration::from_secs(300)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

/// In this time, and with what error?
fn refused<T: std::fmt::Debug>(longest: Duration, call: impl FnOnce() -> Result<T, Error>) -> Error {
    let begin = Instant::now();
    let why = call().unwrap_err();
    assert!(begin.elapsed() < longest, "{:?}: {why}", begin.elapsed());
    assert!(why.is_retryable(), "{why}");
    why
}

fn add(house: &House, id: Id) -> Result<Response, Error> {
    let amount = Number::Integer(1);
    let add = Request::IncrementExecutionCounter { execution_id: id, name: "n".to_owned(), amount };
    house.on(house.backend.call(add))
}

/// Every call of a client and of a worker, where nobody answers any more.
fn nobody_answers(house: &House, id: Id) {
    let seconds = Duration::from_secs;
    let wait = |timeout| refused(timeout + seconds(1) + BUSY, || house.on(house.executor.wait(id, Some(timeout))));
    assert_eq!(wait(Duration::ZERO).status(), Status::Timeout);
    // Here the store has less patience than the caller.
    assert_eq!(wait(seconds(3)).status(), Status::Backend);
    let result = refused(seconds(2) + BUSY, || house.on(house.executor.result(id, Some(seconds(1)))));
    assert_eq!(result.status(), Status::Timeout);
    let dispatch = || house.on(house.executor.dispatch("echo", "[]".into(), DispatchOptions::default()));
    for why in [
        refused(STORES, dispatch),
        refused(STORES, || house.on(house.executor.state(id))),
        refused(STORES, || add(house, id)),
        refused(STORES, || house.on(house.executor.cancel(id, None))),
    ] {
        assert_eq!(why.status(), Status::Backend, "{why}");
    }
}

#[test]
fn nobody_waits_for_a_wire_that_swallows_everything() {
    watched(|| {
        let proxy = Proxy::new(&shared().url);
        let house = House::at(&proxy.url(&fresh_url(TIMES)));
        house.echo("echo");
        let worker = house.worker(4);
        house.run("echo", "[1]").unwrap();
        let later = DispatchOptions { delay: Some(Duration::from_secs(3600)), ..DispatchOptions::default() };
        let id = house.on(house.executor.dispatch("echo", "[]".into(), later)).unwrap();

        proxy.fall_silent();
        nobody_answers(&house, id);
        until("the worker tells of it", || worker.status().trouble.is_some());
        proxy.speak();
        assert_eq!(text(&house.run("echo", "[2]").unwrap()), "[2]");
        until("the trouble is over", || worker.status().trouble.is_none());

        // As a service is stopped.
        proxy.fall_silent();
        worker.drain();
        let stop = || house.on(worker.stop(Some(Duration::from_secs(1))));
        let begin = Instant::now();
        // It may have had nothing on its way, and no lease.
        let stopped = stop();
        assert!(begin.elapsed() < Duration::from_secs(5) + BUSY, "{:?}: {stopped:?}", begin.elapsed());
        let begin = Instant::now();
        house.on(house.backend.call(Request::Close {})).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(6) + BUSY, "{:?}", begin.elapsed());
    });
}

/// Goes on, whatever becomes of the test.
struct Stopped<'s>(&'s Server);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

#[test]
fn nobody_waits_for_a_server_that_is_stopped() {
    watched(|| {
        let server = Server::new("stopped", "");
        let house = House::at(&schema_of(&server.url, TIMES));
        house.echo("echo");
        let worker = house.worker(4);
        house.run("echo", "[1]").unwrap();
        let later = DispatchOptions { delay: Some(Duration::from_secs(3600)), ..DispatchOptions::default() };
        let id = house.on(house.executor.dispatch("echo", "[]".into(), later)).unwrap();
        server.signal("STOP");
        let stopped = Stopped(&server);
        nobody_answers(&house, id);
        until("the worker tells of it", || worker.status().trouble.is_some());
        drop(stopped);
        until("the server answers again", || house.on(house.executor.state(id)).is_ok());
        assert_eq!(text(&house.run("echo", "[2]").unwrap()), "[2]");
    });
}

/// A commit that says nothing more is recorded or not, and counts once.
#[test]
fn a_commit_without_a_word_counts_once() {
    watched(|| {
        let proxy = Proxy::new(&shared().url);
        let house = House::at(&proxy.url(&fresh_url(TIMES)));
        let id = house.dispatch("nobody_runs_it", "[]");
        for (number, hush) in [Proxy::hush_next, Proxy::mute_next, Proxy::hush_next].into_iter().enumerate() {
            hush(&proxy, 1);
            let begin = Instant::now();
            let answer = add(&house, id).unwrap();
            assert_eq!(answer, Response::Number(Number::Integer(number as i64 + 1)));
            assert!(begin.elapsed() < STORES, "{:?}", begin.elapsed());
            assert_eq!(proxy.left(), 0);
        }
    });
}

/// One connection is silent, and the server is well: the worker says so and goes on, no body runs again, and no lease has
/// to end (it is longer than the test's patience).
#[test]
fn a_worker_goes_on_when_one_connection_is_silent() {
    watched(|| {
        let proxy = Proxy::new(&shared().url);
        let house = House::at(&proxy.url(&fresh_url(TIMES)));
        let ran = crate::house::Count::default();
        let count = ran.clone();
        house.function("count", move |task| {
            count.up();
            task.complete(task.args())
        });
        let hour = Duration::from_secs(3600);
        let worker = house.worker_with(WorkerOptions { lease_duration: hour, ..WorkerOptions::default() });
        for (number, hush) in [Proxy::hush_next, Proxy::mute_next].into_iter().enumerate() {
            let ids: Vec<Id> = (0..3).map(|_| house.dispatch("count", "[]")).collect();
            ids.iter().for_each(|id| drop(house.result(*id).unwrap()));
            hush(&proxy, 1);
            let begin = Instant::now();
            let direct = house.dispatch("count", "[7]");
            assert_eq!(text(&house.result(direct).unwrap()), "[7]");
            until("a commit was swallowed", || proxy.left() == 0);
            until("there is no trouble any more", || worker.status().trouble.is_none());
            assert!(begin.elapsed() < 2 * STORES, "{:?}", begin.elapsed());
            assert_eq!(ran.get(), 4 * (number + 1));
        }
    });
}

/// Connections that a router on the way has forgotten are found out before they are used.
#[test]
fn the_idle_are_not_trusted_when_one_is_silent() {
    watched(|| {
        let proxy = Proxy::new(&shared().url);
        let house = House::at(&proxy.url(&fresh_url(&format!("{TIMES}&notify=off"))));
        let id = house.dispatch("nobody_runs_it", "[]");
        let many = || futures_util::future::join_all((0..6).map(|_| house.executor.state(id)));
        let begin = Instant::now();
        assert!(house.on(many()).iter().all(Result::is_ok));
        let usual = begin.elapsed();
        proxy.until_quiet();
        proxy.fall_silent();
        proxy.speak();
        // One of them finds out, in the time of a begin.
        let begin = Instant::now();
        assert_eq!(add(&house, id).unwrap(), Response::Number(Number::Integer(1)));
        assert!(begin.elapsed() < Duration::from_secs(2) + BUSY, "{:?}", begin.elapsed());
        // The others are replaced at once: as new ones take, and no second each.
        let begin = Instant::now();
        house.on(many()).into_iter().for_each(|state| drop(state.unwrap()));
        assert!(begin.elapsed() < Duration::from_millis(800) + 4 * usual, "{:?}, and {usual:?}", begin.elapsed());
    });
}

/// Who listens and hears nothing any more finds out, listens anew, and looks for what he has missed.
#[test]
fn a_silent_listener_is_replaced() {
    watched(|| {
        let never = Duration::from_secs(3600);
        let asleep = WorkerOptions { poll_interval: never, poll_interval_max: never, ..WorkerOptions::default() };
        let proxy = Proxy::new(&shared().url);
        let url = fresh_url(TIMES);
        let (here, there) = (House::at(&proxy.url(&url)), House::at(&url));
        here.echo("echo");
        let _worker = here.worker_with(asleep);
        for round in 0..2 {
            until("somebody listens", || proxy.hush_listeners() == 1);
            let id = there.dispatch("echo", "[]");
            // Nobody here looks by himself.
            there
                .on(there.executor.wait(id, Some(Duration::from_secs(60))))
                .unwrap_or_else(|why| panic!("{round}: {why}"));
            // From now on a hint comes as soon as ever.
            sleep(Duration::from_millis(20));
            let begin = Instant::now();
            there.result(there.dispatch("echo", "[]")).unwrap();
            assert!(begin.elapsed() < BUSY, "{:?}", begin.elapsed());
        }
    });
}

/// A service that is told to end while its store is gone ends in its own time, whatever times the store has: with nothing to
/// do, and with an outcome that nobody takes.
fn ends_in_time(server: &mut Server, gone: impl FnOnce(&mut Server)) {
    let patient = "&connect_timeout=90&call_timeout=90";
    let (idle, busy) = (House::at(&schema_of(&server.url, patient)), House::at(&schema_of(&server.url, patient)));
    let (end, ended) = mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let begun = crate::house::Count::default();
    let begins = begun.clone();
    busy.function("busy", move |task| {
        begins.up();
        ended.lock().unwrap().recv().unwrap();
        task.complete(task.args())
    });
    idle.echo("echo");
    let workers = [(&idle, idle.worker(2)), (&busy, busy.worker(2))];
    idle.run("echo", "[1]").unwrap();
    busy.dispatch("busy", "[]");
    until("its handler runs", || begun.get() == 1);
    gone(server);
    end.send(()).unwrap();
    for (house, worker) in &workers {
        let begin = Instant::now();
        let stopped = house.on(worker.stop(Some(Duration::from_secs(1))));
        assert!(begin.elapsed() < Duration::from_secs(5) + BUSY, "{:?}: {stopped:?}", begin.elapsed());
        house.on(worker.wait_state(WorkerState::Stopped, Some(BUSY))).unwrap();
        let begin = Instant::now();
        house.on(house.backend.call(Request::Close {})).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(6) + BUSY, "{:?}", begin.elapsed());
    }
}

#[test]
fn a_worker_ends_in_time_when_its_server_is_killed() {
    watched(|| ends_in_time(&mut Server::new("killed", ""), Server::crash));
}

#[test]
fn a_worker_ends_in_time_when_its_server_is_stopped() {
    watched(|| {
        let mut server = Server::new("halted", "");
        ends_in_time(&mut server, |server| server.signal("STOP"));
        server.signal("CONT");
    });
}

/// Without a time-out what runs is waited for; a store that is gone is, until the leases are over by which it would record.
#[test]
fn a_drain_without_a_store_ends_with_the_leases() {
    watched(|| {
        let mut server = Server::new("drained", "");
        let house = House::at(&schema_of(&server.url, "&connect_timeout=1&call_timeout=1"));
        let (end, ended) = mpsc::channel();
        let ended = std::sync::Mutex::new(ended);
        house.function("ends_late", move |task| {
            ended.lock().unwrap().recv().unwrap();
            task.complete(task.args())
        });
        let lease = Duration::from_secs(3);
        let worker = house.worker_with(WorkerOptions { lease_duration: lease, ..WorkerOptions::default() });
        house.dispatch("ends_late", "[]");
        until("its handler runs", || worker.status().running == 1);
        server.crash();
        let begin = Instant::now();
        worker.drain();
        end.send(()).unwrap();
        house.on(worker.wait_state(WorkerState::Stopped, Some(lease + Duration::from_secs(4) + BUSY))).unwrap();
        println!("drained in {:?}", begin.elapsed());
        let why = house.on(worker.stop(None)).unwrap_err();
        assert_eq!(why.status(), Status::Timeout, "{why}");
        assert!(why.message().contains("1 outcomes are not recorded"), "{why}");
        house.on(worker.stop(None)).unwrap();
    });
}
