//! The live view on a real terminal. Its screens are in `watch.txt`: `UPDATE_GOLDEN=1 cargo test --features command --test
//! command` writes them anew.

use std::fs;
use std::path::Path;

use crate::house::{House, Where, on_both, postgres, sqlite};
use crate::terminal::{Terminal, on};

on_both! {
    the_view_shows_the_store_and_goes_into_an_execution_and_back,
    what_happens_is_seen,
}

const COLUMNS: u16 = 100;
const ROWS: u16 = 24;

/// A terminal, and what stands on its screen.
struct Viewed {
    terminal: Terminal,
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Viewed {
    fn start(house: &House, colours: bool) -> Self {
        let mut command = on(house, &["watch", "--every", "50ms"]);
        if !colours {
            command.env("NO_COLOR", "1");
        }
        let terminal = Terminal::start(command, COLUMNS);
        let [rows, columns] = [ROWS, COLUMNS].map(|size| size.try_into().unwrap());
        Self { terminal, parser: vt100::Parser::new(rows, columns, 0), raw: Vec::new() }
    }

    /// Until this stands on it, and all that is drawn at once; then all of it.
    #[track_caller]
    fn until(&mut self, what: &str) -> String {
        loop {
            let screen = self.parser.screen().contents();
            // The end of each picture.
            if screen.contains(what) && self.raw.ends_with(b"\x1b[?25l") {
                return screen;
            }
            let bytes = self.terminal.read_soon();
            assert!(!bytes.is_empty(), "'{what}' is not on the screen:\n{screen}");
            self.parser.process(&bytes);
            self.raw.extend(bytes);
        }
    }

    fn say(&mut self, keys: &str) {
        self.terminal.say(keys);
    }

    /// The exit code; the terminal is as it was.
    #[track_caller]
    fn end(mut self) -> i32 {
        let (code, rest) = self.terminal.end_raw();
        self.parser.process(&rest);
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "the terminal is left as the view had it");
        code
    }
}

/// Times go by, and each store has another name.
fn same_every_day(screen: &str) -> String {
    let mut told = String::new();
    for (number, line) in screen.lines().enumerate() {
        let line = if number == 0 { "stent watch  STORE" } else { line };
        let words: Vec<&str> = line.split(' ').collect();
        let is_age = |place: usize| words.get(place + 1).is_some_and(|next| next.starts_with("ago"));
        let word = |(place, word): (usize, &&str)| match is_age(place) {
            true => word.replace(|c: char| c.is_ascii_digit(), "#").replace("##", "#").replace("##", "#"),
            false => (*word).to_owned(),
        };
        let line = words.iter().enumerate().map(word).collect::<Vec<String>>().join(" ");
        told += line.trim_end();
        told += "\n";
    }
    told
}

fn the_view_shows_the_store_and_goes_into_an_execution_and_back(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let mut view = Viewed::start(&house, true);
    let mut screens = String::new();
    let mut keep = |title: &str, screen: String| screens += &format!("--- {title}\n{}", same_every_day(&screen));
    // From the second look on there are rates.
    view.until("started 0.0/s");
    keep("at first", view.until("DEAD LETTERS"));
    view.say("\x1b[B");
    keep("one down", view.until("> 019ac89a-f000-7000-8000-000000000002"));
    view.say("\r");
    keep("into it", view.until("COUNTERS"));
    view.say("\x1b[B\x1b[B");
    view.until("attempts  3");
    view.say("\x7f");
    view.until("> 019ac89a-f000-7000-8000-000000000002");
    view.say("\t");
    keep("what runs", view.until("[running]"));
    view.say("p");
    view.until("(paused)");
    view.say("\t");
    keep("what fails", view.until("[failed]"));
    assert!(view.raw.windows(8).any(|bytes| bytes == b"\x1b[38;5;1"), "nothing is red");
    view.say("q");
    assert_eq!(view.end(), 0);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/watch.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !house.url.starts_with("postgresql") {
        fs::write(&path, &screens).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == screens, "{} has drifted (UPDATE_GOLDEN=1 writes it anew):\n{screens}", path.display());
}

fn what_happens_is_seen(place: Where) {
    let house = House::new(place);
    let mut view = Viewed::start(&house, false);
    view.until("Nothing is ready");
    for _ in 0..3 {
        house.dispatch("order");
    }
    view.until("pending 3");
    view.until("(none)");
    house.say(&["queues", "pause", "mail"]).ok();
    house.say(&["functions", "pause", "nightly"]).ok();
    let screen = view.until(" ago)  function nightly (");
    assert!(screen.contains("\npaused      queue mail ("), "{screen}");
    for (kind, name) in [("queues", "mail"), ("functions", "nightly")] {
        house.say(&[kind, "resume", name]).ok();
    }
    let worker = house.furnish();
    let screen = view.until("completed 3");
    assert!(!screen.contains("\npaused "), "{screen}");
    view.until("1 worker");
    view.say("\r");
    view.until("reserve");
    let coloured = ["\x1b[38", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
    let raw = String::from_utf8_lossy(&view.raw).into_owned();
    assert!(!coloured.iter().any(|colour| raw.contains(colour)), "{raw:?}");
    drop(worker);
    view.say("\x03");
    assert_eq!(view.end(), 0);
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    let house = House::new(sqlite);
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let mut view = Viewed::start(&house, true);
        let before = view.terminal.before;
        view.until("EXECUTIONS");
        assert_ne!(view.terminal.settings(), before, "keys are read one by one");
        view.terminal.kill(signal);
        view.terminal.wait();
        assert_eq!(view.terminal.settings(), before);
        assert_eq!(view.end(), 0);
    }
}

#[test]
fn without_a_terminal_there_is_no_view() {
    let house = House::new(postgres);
    let said = house.say(&["watch"]);
    assert!(said.code == 2 && said.err.contains("terminal") && said.err.contains("stats"), "{said:?}");
}
