//! Stands between a store and its server: counts what is asked, and cuts connections where it hurts most, after a COMMIT
//! was sent and before its answer came.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

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
    /// The answer to every so-many-th COMMIT gets lost; 0: none.
    lose_every: AtomicU64,
    /// So many more.
    lose_next: AtomicU64,
    /// So many do not even get to the server.
    swallow_next: AtomicU64,
    lost: AtomicU64,
    over: AtomicBool,
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
                relay(client, server, &shared);
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

    pub fn lost(&self) -> u64 {
        self.state.lost.load(SeqCst)
    }
}

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

fn relay(client: TcpStream, server: TcpStream, state: &Arc<State>) {
    let doomed = Arc::new(AtomicBool::new(false));
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ends = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let ((mut from, mut to), state, mark) = (ends(), Arc::clone(state), Arc::clone(&doomed));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        let mut frames = Frames::default();
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let bytes = &bytes[..count];
            state.asked.fetch_add(frames.queries(bytes), SeqCst);
            if bytes.windows(6).any(|word| word == b"COMMIT") {
                if one_less(&state.swallow_next) {
                    break;
                }
                mark.fetch_or(state.loses(), SeqCst);
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        cut(&from, &to);
    });
    let (mut to, mut from) = ends();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            // The server has answered, so the COMMIT is done.
            if doomed.load(SeqCst) || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        cut(&to, &from);
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
