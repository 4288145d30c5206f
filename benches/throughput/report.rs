//! The table, line by line as it comes to be known.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Size;

/// What the store alone can do, in this run.
#[derive(Clone, Copy, Default)]
pub struct Ceiling {
    /// Commits of one row, in a second.
    pub single: f64,
    /// The same from many clients at once, where a store takes them.
    pub clients: Option<f64>,
    /// Rows in commits of a hundred, in a second.
    pub hundred: f64,
}

#[derive(Default)]
pub struct Report {
    pub ceiling: Ceiling,
}

pub fn headline(size: Size) {
    let size = if size.quick { "a tenth of the full sizes" } else { "full sizes" };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("stent {}, {processors} processors for client and store, {size}", env!("CARGO_PKG_VERSION"));
}

impl Report {
    /// The lines of one store follow.
    pub fn of(store: &str) -> Self {
        println!("\n{store}\n");
        Self::default()
    }

    /// One line: what was done, what came out, and more about it.
    pub fn line(&self, what: &str, result: &str, more: &str) {
        println!("{what:<58} {result:>16}   {more}");
    }

    /// A rate of tasks, beside the store's own rates.
    pub fn rate(&self, what: &str, per_second: f64) {
        let Ceiling { single, clients, hundred } = self.ceiling;
        let mut more = format!("{:.1} x single-row commits", per_second / single);
        if let Some(clients) = clients {
            let _infallible = write!(more, " ({:.1} x those of many clients)", per_second / clients);
        }
        let _infallible = write!(more, ", {:.1}% of rows in commits of 100", 100.0 * per_second / hundred);
        self.line(what, &format!("{} /s", thousands(per_second)), &more);
    }

    /// A time, as the median of a sample, beside a single-row commit.
    pub fn time(&self, what: &str, sample: &mut [Duration]) {
        let (median, most) = (quantile(sample, 0.5), quantile(sample, 0.99));
        let commits = median.as_secs_f64() * self.ceiling.single;
        let more =
            format!("median of {}; 99% below {}; {commits:.1} x a single-row commit", sample.len(), millis(most));
        self.line(what, &millis(median), &more);
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

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// The value below which this part of a sample lies.
pub fn quantile(sample: &mut [Duration], part: f64) -> Duration {
    sample.sort_unstable();
    sample[((sample.len() - 1) as f64 * part).round() as usize]
}
