//! On a real terminal: colours, widths, the pager, and questions.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use crate::house::{House, Where, on_both, stent};

on_both! {
    colours_are_for_terminals_that_want_them,
    lines_are_as_wide_as_the_terminal,
    long_answers_are_paged,
    it_asks_before_what_cannot_be_undone,
}

/// A terminal with a program on it.
pub struct Terminal {
    master: File,
    child: Child,
    text: String,
    /// As the program found it.
    pub before: [libc::tcflag_t; 3],
}

impl Terminal {
    pub fn start(mut command: Command, columns: u16) -> Self {
        let (mut master, mut slave) = (0, 0);
        let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let (name, settings) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: two places to write to, and a size to read.
        let made = unsafe { libc::openpty(&mut master, &mut slave, name, settings, &size) };
        assert_eq!(made, 0);
        // SAFETY: both were made just now, and are nobody else's.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        // SAFETY: it is ours; a child has no business with it.
        unsafe { libc::fcntl(master.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: both may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let before = settings_of(&master);
        let child = command.env("TERM", "xterm-256color").spawn().unwrap();
        // The child's ends of it are its own: the last one to be closed ends the text.
        drop(command);
        Self { master, child, text: String::new(), before }
    }

    /// Reads until this was written, or the end.
    fn until(&mut self, what: &str) -> bool {
        let mut bytes = [0; 4096];
        while !self.text.contains(what) {
            match self.master.read(&mut bytes) {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.text += &String::from_utf8_lossy(&bytes[..count]),
            }
        }
        true
    }

    pub fn say(&mut self, words: &str) {
        self.master.write_all(words.as_bytes()).unwrap();
    }

    /// What is written next; nothing, if nothing is for a long time.
    pub fn read_soon(&mut self) -> Vec<u8> {
        let mut ready = libc::pollfd { fd: self.master.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, which is open.
        if unsafe { libc::poll(&mut ready, 1, 30_000) } < 1 {
            return Vec::new();
        }
        let mut bytes = vec![0; 4096];
        let count = self.master.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    /// How the terminal is set: what it does with what is typed and written.
    pub fn settings(&self) -> [libc::tcflag_t; 3] {
        settings_of(&self.master)
    }

    pub fn kill(&self, signal: i32) {
        // SAFETY: our own child, which was not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id().try_into().unwrap(), signal) }, 0);
    }

    pub fn wait(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// The exit code, and what was written since the last look.
    pub fn end_raw(&mut self) -> (i32, Vec<u8>) {
        let mut bytes = Vec::new();
        // Where the last one that had it is gone, a terminal's end is an error.
        let _end = self.master.read_to_end(&mut bytes);
        (self.wait(), bytes)
    }

    /// The exit code, and all that was written.
    fn end(mut self) -> (i32, String) {
        self.until("\0never");
        (self.child.wait().unwrap().code().unwrap_or(-1), self.text)
    }
}

fn settings_of(master: &File) -> [libc::tcflag_t; 3] {
    // SAFETY: all zeros are settings, too.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: a terminal, and a place to write to.
    assert_eq!(unsafe { libc::tcgetattr(master.as_raw_fd(), &mut settings) }, 0);
    [settings.c_iflag, settings.c_oflag, settings.c_lflag]
}

pub fn on(house: &House, args: &[&str]) -> Command {
    let mut command = stent();
    command.env("STENT_DB", &house.url).env("PAGER", "cat").args(args);
    command
}

fn colours_are_for_terminals_that_want_them(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let colours = |more: &[(&str, &str)], args: &[&str]| {
        let mut command = on(&house, args);
        command.envs(more.iter().copied());
        let (code, text) = Terminal::start(command, 200).end();
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("completed"), "{text}");
        text.contains("\x1b[")
    };
    assert!(colours(&[], &["list"]));
    assert!(colours(&[("NO_COLOR", "")], &["list"]));
    assert!(!colours(&[("NO_COLOR", "1")], &["list"]));
    assert!(!colours(&[], &["--json", "list"]));
}

fn lines_are_as_wide_as_the_terminal(place: Where) {
    let house = House::new(place);
    house.exhibit();
    for (columns, has_result) in [(80, false), (100, true)] {
        let mut command = on(&house, &["list"]);
        command.env("NO_COLOR", "1");
        let (_, text) = Terminal::start(command, columns).end();
        let widths: Vec<usize> = text.lines().map(|line| line.trim_end().chars().count()).collect();
        assert!(widths.iter().all(|width| *width <= usize::from(columns)), "{text}");
        assert_eq!((text.contains("RESULT"), text.contains('…')), (has_result, has_result), "{text}");
        assert!(text.contains(" ago"), "{text}");
    }
}

fn long_answers_are_paged(place: Where) {
    let house = House::new(place);
    for _ in 0..30 {
        house.dispatch("f");
    }
    let folder = tempfile::tempdir().unwrap();
    let pager = folder.path().join("pager");
    std::fs::write(&pager, "#!/bin/sh\necho \"paged $(wc -l) lines\"\n").unwrap();
    std::fs::set_permissions(&pager, std::fs::Permissions::from_mode(0o755)).unwrap();
    let paged = |args: &[&str]| {
        let mut command = on(&house, args);
        command.env("PAGER", &pager);
        Terminal::start(command, 200).end().1.contains("paged ")
    };
    assert!(paged(&["list", "-n", "30"]));
    assert!(!paged(&["list", "-n", "5"]));
    assert!(!paged(&["--no-pager", "list", "-n", "30"]));
    assert!(!paged(&["--json", "list", "-n", "30"]));
}

fn it_asks_before_what_cannot_be_undone(place: Where) {
    let house = House::new(place);
    let id = house.dispatch("f").to_string();
    let answer = |words: &str| {
        let mut terminal = Terminal::start(on(&house, &["cancel", &id]), 200);
        assert!(terminal.until("[y/N] "), "{}", terminal.text);
        terminal.say(words);
        terminal.end()
    };
    let state = || house.say(&["--json", "list"]).ok().json()["executions"][0]["state"].as_str().unwrap().to_owned();
    for no in ["\n", "n\n", "\x04"] {
        let (code, text) = answer(no);
        assert!(code == 6 && text.contains("Nothing was done"), "{text}");
    }
    assert_eq!(state(), "pending");
    assert_eq!(answer("y\n").0, 0);
    assert_ne!(state(), "pending");
}
