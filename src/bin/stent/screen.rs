//! What is written, and where: for people with colours, width and a pager, where there is a terminal, or as JSON.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use serde::Serialize;
use stent::codec;

use crate::trouble::Trouble;

/// Where no terminal says how wide it is.
const WIDTH: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Good,
    Bad,
    Busy,
    Dim,
    Head,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Busy => "33",
            Self::Dim => "2",
            Self::Head => "1",
        }
    }
}

pub struct Screen {
    json: bool,
    pager: bool,
    terminal: bool,
    colours: bool,
    text: String,
}

impl Screen {
    pub fn new(json: bool, no_pager: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        // As no-color.org has it: set, and not empty.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colours = terminal && !plain && !dumb && !json;
        Self { json, pager: terminal && !no_pager && !json, terminal, colours, text: String::new() }
    }

    /// For a view that shows the text itself, on the terminal that there is.
    pub fn kept() -> Self {
        Self { json: false, pager: false, terminal: true, colours: false, text: String::new() }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// The columns that there are; more than enough where nobody looks.
    pub fn width(&self) -> usize {
        if self.terminal { size().map_or(WIDTH, |(_, columns)| columns) } else { usize::MAX }
    }

    /// Times are told as ages where a person looks, in full for files and programs.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colours && !text.is_empty() { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
    }

    /// A line for people.
    pub fn line(&mut self, line: impl Display) {
        if !self.json {
            self.text.push_str(line.to_string().trim_end());
            self.text.push('\n');
        }
    }

    /// The whole answer for programs: one line.
    pub fn json(&mut self, value: &impl Serialize) {
        if self.json {
            self.text.push_str(&codec::to_json(value));
            self.text.push('\n');
        }
    }

    /// As it is, for whoever asks.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Beside the answer: it does not go where the answer goes.
    pub fn aside(&self, line: impl Display) {
        if !self.json {
            // Nobody may be there to read it.
            let _written = writeln!(io::stderr(), "{line}");
        }
    }

    /// Writes what was said until now.
    pub fn show(&mut self) -> Result<(), Trouble> {
        let text = std::mem::take(&mut self.text);
        let longer = || size().is_some_and(|(lines, _)| text.lines().count() >= lines);
        if self.pager && longer() && page(&text) {
            return Ok(());
        }
        let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
        match written {
            // Who reads has seen enough.
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|why| Trouble::failed(format!("write the answer: {why}"))),
        }
    }

    pub fn tell(&self, trouble: &Trouble) {
        let mut stderr = io::stderr();
        // Nobody may be there to read it.
        let _written = if self.json {
            writeln!(stderr, "{}", trouble.json())
        } else {
            let plain = |text: &str| crate::words::visible(text);
            let hint = trouble.what_would_be_right().map(|hint| format!("\n  {}", plain(hint))).unwrap_or_default();
            writeln!(stderr, "stent: {}{hint}", plain(trouble.message()))
        };
    }

    /// Asks before what can't be undone. `yes`: it was said before.
    pub fn confirm(&self, yes: bool, question: &str) -> Result<(), Trouble> {
        if yes {
            return Ok(());
        }
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Trouble::not_confirmed(format!(
                "{question} Nobody is there to be asked, and nothing was done."
            ))
            .hint("say it with --yes"));
        }
        let mut stderr = io::stderr();
        let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        let heard = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
        match heard {
            Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
            _ => Err(Trouble::not_confirmed("Nothing was done.")),
        }
    }
}

/// Lines and columns of the terminal.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then(|| (usize::from(size.ws_row), usize::from(size.ws_col)))
}

/// Shows it by the user's pager. False: there is none.
fn page(text: &str) -> bool {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    let mut words = pager.split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else { return false };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // Who has seen enough leaves before the end.
        let _written = stdin.write_all(text.as_bytes());
    }
    child.wait().is_ok()
}
