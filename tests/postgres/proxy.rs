//! Stands between a store and its server: counts what is asked, and cuts connections where it hurts most, after a COMMIT
//! was sent and before its answer came. Or it says nothing any more, and cuts nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Every thread of it ends when the connections do.
pub struct Proxy {
    port: u16,
    server: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    target: Mutex<String>,
    connections: AtomicU64,
    /// Queries: simple ones, and executions of statements.
    asked: AtomicU64,
    commits: AtomicU64,
    /// Bytes of the server's.
    passed: AtomicU64,
    /// The answer to every so-many-th COMMIT gets lost; 0: none.
    lose_every: AtomicU64,
    /// So many more.
    lose_next: AtomicU64,
    /// So many do not even get to the server.
    swallow_next: AtomicU64,
    /// The answers to so many executions of a statement.
    lose_executed: AtomicU64,
    lost: AtomicU64,
    /// So many COMMITs more are swallowed with all that follows, and nobody is told.
    hush_next: AtomicU64,
    /// So many more get there, and there is no answer, and nobody is told.
    mute_next: AtomicU64,
    /// So many more get there late.
    late_next: AtomicU64,
    /// Connections that are made now say nothing from the start.
    deaf: AtomicBool,
    relays: Mutex<Vec<Arc<Relay>>>,
    over: AtomicBool,
}

/// A connection.
#[derive(Default)]
struct Relay {
    /// It is cut at the next answer.
    doomed: AtomicBool,
    /// What is said is swallowed.
    silent: AtomicBool,
    /// Somebody listens on it.
    listens: AtomicBool,
}

impl Proxy {
    /// In front of the server of this URL.
    pub fn new(server: &str) -> Self {
        let target = place(server);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        *state.target.lock().unwrap() = target.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.over.load(SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, SeqCst);
                let to = shared.target.lock().unwrap().clone();
                // Of a server that is not there the client hears no more than the end.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                let one = Arc::<Relay>::default();
                one.silent.store(shared.deaf.load(SeqCst), SeqCst);
                shared.relays.lock().unwrap().push(Arc::clone(&one));
                relay(client, server, &shared, &one);
            }
        });
        Self { port, server: target, state }
    }

    /// The same URL, through here.
    pub fn url(&self, url: &str) -> String {
        assert!(url.contains(&self.server), "{url}");
        url.replacen(&self.server, &format!("127.0.0.1:{}", self.port), 1)
    }

    pub fn asked(&self) -> u64 {
        self.state.asked.load(SeqCst)
    }

    /// How often somebody wanted to connect.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }

    /// From now on to the server of this URL.
    pub fn turn_to(&self, server: &str) {
        *self.state.target.lock().unwrap() = place(server);
    }

    pub fn lose_every(&self, so_many: u64) {
        self.state.lose_every.store(so_many, SeqCst);
    }

    /// The answers to the next COMMITs get lost.
    pub fn lose_next(&self, count: u64) {
        self.state.lose_next.store(count, SeqCst);
    }

    /// The next COMMITs do not get to the server, and the connections are cut.
    pub fn swallow_next(&self, count: u64) {
        self.state.swallow_next.store(count, SeqCst);
    }

    /// The answers to the next statements get lost, after they have been carried out.
    pub fn lose_executed(&self, count: u64) {
        self.state.lose_executed.store(count, SeqCst);
    }

    pub fn lost(&self) -> u64 {
        self.state.lost.load(SeqCst)
    }

    /// The connections of the next COMMITs say nothing any more, and these do not get to the server.
    pub fn hush_next(&self, count: u64) {
        self.state.hush_next.store(count, SeqCst);
    }

    /// The connections of the next COMMITs say nothing any more, after these have got to the server.
    pub fn mute_next(&self, count: u64) {
        self.state.mute_next.store(count, SeqCst);
    }

    /// The next COMMITs get there after [`LATE`].
    pub fn late_next(&self, count: u64) {
        self.state.late_next.store(count, SeqCst);
    }

    /// Nothing is heard of anybody any more, however he tries.
    pub fn fall_silent(&self) {
        self.state.deaf.store(true, SeqCst);
        self.state.relays.lock().unwrap().iter().for_each(|one| one.silent.store(true, SeqCst));
    }

    /// Until nothing has been said for a while: connections are back in their pool.
    pub fn until_quiet(&self) {
        const QUIET: Duration = Duration::from_millis(200);
        let passed = || self.state.passed.load(SeqCst);
        let (mut before, mut since) = (passed(), Instant::now());
        while since.elapsed() < QUIET {
            std::thread::sleep(QUIET / 20);
            if passed() != before {
                (before, since) = (passed(), Instant::now());
            }
        }
    }

    /// Who connects now is heard. Those from before are not.
    pub fn speak(&self) {
        self.state.deaf.store(false, SeqCst);
    }

    /// Those who listen hear nothing any more. How many?
    pub fn hush_listeners(&self) -> usize {
        let relays = self.state.relays.lock().unwrap();
        let listening = relays.iter().filter(|one| one.listens.load(SeqCst) && !one.silent.swap(true, SeqCst));
        listening.count()
    }

    /// COMMITs that are still to be treated like this.
    pub fn left(&self) -> u64 {
        let state = &self.state;
        [&state.hush_next, &state.mute_next, &state.late_next].map(|count| count.load(SeqCst)).iter().sum()
    }
}

/// By so much a COMMIT is late.
pub const LATE: Duration = Duration::from_secs(2);

/// Host and port of a URL.
fn place(url: &str) -> String {
    let rest = url.split_once('@').unwrap().1;
    rest.split(['/', '?']).next().unwrap().to_owned()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, SeqCst);
        // Wakes the one that listens.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    /// A COMMIT goes by. True: its answer is to get lost.
    fn loses(&self) -> bool {
        let number = self.commits.fetch_add(1, SeqCst) + 1;
        let every = self.lose_every.load(SeqCst);
        let next = one_less(&self.lose_next);
        let loses = next || (every > 0 && number.is_multiple_of(every));
        self.lost.fetch_add(u64::from(loses), SeqCst);
        loses
    }
}

/// False: it was 0 already.
fn one_less(count: &AtomicU64) -> bool {
    count.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn relay(client: TcpStream, server: TcpStream, state: &Arc<State>, one: &Arc<Relay>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ends = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let shared = Arc::clone(state);
    let ((mut from, mut to), state, here) = (ends(), Arc::clone(state), Arc::clone(one));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        let mut frames = Frames::default();
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let bytes = &bytes[..count];
            if here.silent.load(SeqCst) {
                continue;
            }
            let queries = frames.queries(bytes);
            state.asked.fetch_add(queries, SeqCst);
            if queries > 0 && one_less(&state.lose_executed) {
                state.lost.fetch_add(1, SeqCst);
                here.doomed.store(true, SeqCst);
            }
            if bytes.windows(6).any(|word| word == b"COMMIT") {
                if one_less(&state.swallow_next) {
                    break;
                }
                here.doomed.fetch_or(state.loses(), SeqCst);
                if one_less(&state.late_next) {
                    std::thread::sleep(LATE);
                }
                here.silent.fetch_or(one_less(&state.mute_next), SeqCst);
                if one_less(&state.hush_next) {
                    here.silent.store(true, SeqCst);
                    continue;
                }
            }
            here.listens.fetch_or(bytes.windows(7).any(|word| word == b"LISTEN "), SeqCst);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        if here.silent.load(SeqCst) {
            // The server does not hear of the end either.
            let _closed = from.shutdown(Shutdown::Both);
        } else {
            cut(&from, &to);
        }
    });
    let ((mut to, mut from), state, here) = (ends(), shared, Arc::clone(one));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if here.silent.load(SeqCst) {
                continue;
            }
            state.passed.fetch_add(count as u64, SeqCst);
            // The server has answered, so the COMMIT is done.
            if here.doomed.load(SeqCst) || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        if !here.silent.load(SeqCst) {
            cut(&to, &from);
        }
    });
}

/// Either may be closed already.
fn cut(one: &TcpStream, other: &TcpStream) {
    let _closed = (one.shutdown(Shutdown::Both), other.shutdown(Shutdown::Both));
}

/// The messages that a client sends: https://www.postgresql.org/docs/15/protocol-message-formats.html
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    begun: bool,
}

impl Frames {
    /// How many of the messages that end here are queries. A Sync alone, by which the pool looks whether a connection is
    /// alive, is none.
    fn queries(&mut self, bytes: &[u8]) -> u64 {
        const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
        self.bytes.extend_from_slice(bytes);
        let mut count = 0;
        loop {
            let head = usize::from(self.begun);
            let Some(length) = self.bytes.get(head..head + 4) else { return count };
            let length = head + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.bytes.len() < length {
                return count;
            }
            let message: Vec<u8> = self.bytes.drain(..length).collect();
            if self.begun {
                count += u64::from(matches!(message[0], b'Q' | b'E'));
            } else {
                self.begun = message.get(4..8) != Some(&SSL_REQUEST);
            }
        }
    }
}
