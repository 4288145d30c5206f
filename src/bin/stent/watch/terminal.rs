//! The terminal while the view has it: taken at the beginning, and given back as it was at every end, a panic's too.

use std::io::{self, Stdout};
use std::sync::Once;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;

pub type Screen = Terminal<CrosstermBackend<Stdout>>;

/// While it lives, the terminal is the view's.
pub struct Taken(pub Screen);

impl Taken {
    pub fn take() -> io::Result<Self> {
        // A panic is told on the screen that is there afterwards.
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        let taken = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        taken.map(Self).inspect_err(|_| give_back())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Again does no harm. There may be no terminal any more.
fn give_back() {
    let _raw = disable_raw_mode();
    let _left = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Enter,
    Back,
    Next,
    Pause,
    Refresh,
    Quit,
    /// The terminal has another size.
    Redraw,
}

/// What is typed, until the terminal is gone.
pub fn keys() -> mpsc::UnboundedReceiver<Key> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Reading blocks, and nothing ends it but the end of the program.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(key) = key(&event) else { continue };
            if sender.send(key).is_err() {
                return;
            }
        }
        let _nobody_there = sender.send(Key::Quit);
    });
    receiver
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(typed) = event else {
        return matches!(event, Event::Resize(..)).then_some(Key::Redraw);
    };
    if typed.kind == KeyEventKind::Release {
        return None;
    }
    let control = typed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match typed.code {
        KeyCode::Char('c') if control => Key::Quit,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Enter | KeyCode::Right => Key::Enter,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Key::Back,
        KeyCode::Tab => Key::Next,
        KeyCode::Char('p') => Key::Pause,
        KeyCode::Char('r') => Key::Refresh,
        KeyCode::Char('q') => Key::Quit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    const CHILD: &str = "STENT_TEST_PANIC";

    /// Runs a program on a terminal of its own, says all that it wrote, and fails if the terminal is left in another
    /// way. One read gives what the kernel has at hand, and a terminal whose last side is closed gives an error.
    const ON_A_TERMINAL: &str = "\
import os, pty, subprocess, sys, termios, threading
master, slave = pty.openpty()
termios.tcsetwinsize(slave, (24, 80))
settings = lambda: [termios.tcgetattr(slave)[kind] for kind in (0, 1, 3)]
before = settings()
def read():
    try:
        while piece := os.read(master, 1 << 16):
            sys.stdout.buffer.write(piece)
    except OSError:
        pass
reader = threading.Thread(target=read)
reader.start()
subprocess.run(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave)
assert settings() == before
os.close(slave)
reader.join()
";

    /// In a program of its own, this one: it takes the terminal, and panics.
    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(CHILD).is_some() {
            let _taken = super::Taken::take().unwrap();
            panic!("for the test");
        }
        let mut command = Command::new("python3");
        command.args(["-c", ON_A_TERMINAL]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "watch::terminal::tests::a_panic_gives_the_terminal_back", "--nocapture"]);
        let done = command.env(CHILD, "1").env("RUST_BACKTRACE", "0").output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        let (left, told) = (text.find("\x1b[?1049l"), text.find("for the test"));
        assert!(done.status.success() && left.is_some() && left < told, "{done:?}");
        assert!(text.contains("\x1b[?1049h") && text.contains("\x1b[?25h"), "{text}");
    }
}
