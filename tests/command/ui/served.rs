//! The page of a store, served until the test is over.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::{House, stent};

pub struct Served {
    child: Child,
    pub address: String,
    base: String,
    audit: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill();
        self.child.wait().unwrap();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

impl Served {
    pub fn new(house: &House, more: &[&str]) -> Self {
        Self::with(house, more, &[])
    }

    pub fn with(house: &House, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let mut command = stent();
        command.env_remove("STENT_UI_TOKEN").envs(environment.iter().copied());
        command.args(["--db", &house.url, "ui", "--audit-log", audit.to_str().unwrap()]);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let place = |from: &str| Some(line.split(from).nth(1)?.split(' ').next().unwrap().to_owned());
        let (address, base) = match (place("http://"), place("unix:")) {
            (Some(place), _) => {
                let (address, base) = place.split_once('/').unwrap();
                (address.to_owned(), format!("/{base}").trim_end_matches('/').to_owned())
            }
            (None, Some(path)) => (path, String::new()),
            (None, None) => panic!("{line}"),
        };
        Self { child, address, base, audit, _folder: folder }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// By SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// By SIGTERM.
    pub fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// As it stands; `Host` is ours unless it is given.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.send(method, path, headers, body);
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: unchunked(head, body) }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Box<dyn Stream> {
        let mut stream: Box<dyn Stream> = if self.address.starts_with('/') {
            Box::new(UnixStream::connect(&self.address).unwrap())
        } else {
            Box::new(TcpStream::connect(&self.address).unwrap())
        };
        let mut all = vec![("Host", self.address.as_str()), ("Connection", "close")];
        all.retain(|(name, _)| !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)));
        all.extend(headers);
        let head: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("{}{path}", self.base), &[], "")
    }

    /// The secret of its forms.
    pub fn secret(&self) -> String {
        self.get("/api/session").ok().json()["csrf"].as_str().unwrap().to_owned()
    }

    pub fn form(&self, path: &str, fields: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let headers = [("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        self.ask("POST", &format!("{}{path}", self.base), &headers, &format!("csrf={}&{fields}", self.secret()))
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        let secret = self.secret();
        let headers = [("X-Stent-CSRF", secret.as_str()), ("Content-Type", "application/json")];
        self.ask("POST", &format!("{}{path}", self.base), &headers, body)
    }

    /// What was done, as the log has it.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.audit).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn listen(&self, path: &str) -> Events {
        let stream = self.send("GET", &format!("{}/events{path}", self.base), &[("Accept", "text/event-stream")], "");
        stream.patience(Duration::from_millis(100));
        Events { stream, heard: String::new() }
    }
}

fn unchunked(head: &str, body: &str) -> String {
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut told) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        told.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    told
}

trait Stream: Read + Write {
    fn patience(&self, most: Duration);
}

impl Stream for TcpStream {
    fn patience(&self, most: Duration) {
        self.set_read_timeout(Some(most)).unwrap();
    }
}

impl Stream for UnixStream {
    fn patience(&self, most: Duration) {
        self.set_read_timeout(Some(most)).unwrap();
    }
}

pub struct Events {
    stream: Box<dyn Stream>,
    heard: String,
}

impl Events {
    /// Until this has been sent, since the last time.
    #[track_caller]
    pub fn until(&mut self, wanted: &str) {
        let start = Instant::now();
        let mut bytes = [0; 65_536];
        loop {
            if let Some(at) = self.heard.find(wanted) {
                self.heard.drain(..at + wanted.len());
                return;
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("it ended: {}", self.heard),
                Ok(read) => self.heard.push_str(&String::from_utf8_lossy(&bytes[..read])),
                Err(_) => assert!(start.elapsed() < Duration::from_secs(30), "still not '{wanted}': {}", self.heard),
            }
        }
    }
}
