//! The table, line by line as it comes to be known.

use std::fmt::Write as _;
use std::time::Duration;

/// What the store alone can do, in this run.
#[derive(Clone, Copy, Default)]
pub struct Ceiling {
    /// Commits of one row, in a second.
    pub single: f64,
    /// Rows in commits of a hundred, in a second.
    pub hundred: f64,
}

pub struct Report {
    pub ceiling: Ceiling,
}

impl Report {
    pub fn start(quick: bool) -> Self {
        let size = if quick { "a tenth of the full sizes" } else { "full sizes" };
        println!(
            "stent {}, SQLite {} with synchronous=FULL, {} processors, {size}\n",
            env!("CARGO_PKG_VERSION"),
            super::ceiling::sqlite_version(),
            std::thread::available_parallelism().map_or(0, usize::from),
        );
        Self { ceiling: Ceiling::default() }
    }

    /// One line: what was done, what came out, and more about it.
    pub fn line(&self, what: &str, result: &str, more: &str) {
        println!("{what:<58} {result:>16}   {more}");
    }

    /// A rate of tasks, beside the store's own rates.
    pub fn rate(&self, what: &str, per_second: f64, unit: &str) {
        let mut more = String::new();
        if self.ceiling.single > 0.0 {
            let single = per_second / self.ceiling.single;
            let hundred = 100.0 * per_second / self.ceiling.hundred;
            let _infallible = write!(more, "{single:.1} x single-row commits, {hundred:.1}% of rows in commits of 100");
        }
        self.line(what, &format!("{} {unit}", thousands(per_second)), &more);
    }
}

/// `12,345`
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// The value below which this part of a sample lies.
pub fn quantile(sample: &mut [Duration], part: f64) -> Duration {
    sample.sort_unstable();
    sample[((sample.len() - 1) as f64 * part).round() as usize]
}
