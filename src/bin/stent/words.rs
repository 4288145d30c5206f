//! Times, durations and payloads, as people read them. Pure but for the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stent::model::{Failure, Payload, Rate, Timestamp};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// This host's clock. A store's own may differ: good for ages, not for leases.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// `7ms`, `1.2s`, `3m04s`, `2h05m`, `3d04h`.
pub fn duration(time: Duration) -> String {
    let (millis, seconds) = (time.as_millis(), time.as_secs());
    match seconds {
        0 if millis == 0 => "0ms".to_owned(),
        0 => format!("{millis}ms"),
        1..60 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// `100/1m00s`, `5/1.0s, 3 at once`.
pub fn rate(rate: &Rate) -> String {
    let period = duration(Duration::try_from_secs_f64(rate.period).unwrap_or(Duration::MAX));
    let burst = if rate.burst > 1 { format!(", {} at once", rate.burst) } else { String::new() };
    format!("{}/{period}{burst}", rate.limit)
}

/// `2026-11-28 04:32:55 UTC`.
pub fn date(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..19).unwrap_or(&text).replace('T', " "))
}

/// How long ago, or until when.
pub fn age(time: Timestamp) -> String {
    let now = now();
    let rough = |time: Duration| if time.as_secs() < 60 { format!("{}s", time.as_secs()) } else { duration(time) };
    match now.since(time) {
        gone if gone.is_zero() && time.since(now) > Duration::from_secs(1) => format!("in {}", rough(time.since(now))),
        gone => format!("{} ago", rough(gone)),
    }
}

/// `12,345`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 task`, `2 tasks`.
pub fn several(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// `3.4 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let (mut size, mut unit) = (bytes as f64 / 1000.0, 0);
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// What a terminal would act upon is written as what it is: a payload may be anybody's.
pub fn visible(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => told.push(' '),
            c if c.is_control() || is_unseen(c) => told.extend(c.escape_unicode()),
            c => told.push(c),
        }
    }
    told
}

/// Changes the order of what stands beside it.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// At most so wide; what is cut says so.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut told = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        told.push(c);
    }
    told + "…"
}

/// The bytes as text where they are text, on one line.
pub fn payload(payload: &Payload) -> String {
    match std::str::from_utf8(payload.as_bytes()) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) => visible(text),
        Err(_) => format!("({} bytes that are no text)", payload.len()),
    }
}

/// `CardDeclined: no funds`.
pub fn failure(failure: &Failure) -> String {
    if failure.message.is_empty() {
        return visible(&failure.kind);
    }
    visible(&format!("{}: {}", failure.kind, failure.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_sort_of_exact() {
        for (millis, text) in
            [(0, "0ms"), (7, "7ms"), (1_250, "1.2s"), (184_000, "3m04s"), (7_500_000, "2h05m"), (273_600_000, "3d04h")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        let rates = [(100, 60.0, 1), (5, 0.2, 3)].map(|(limit, period, burst)| rate(&Rate { limit, period, burst }));
        assert_eq!(rates, ["100/1m00s", "5/200ms, 3 at once"]);
        assert_eq!(number(0) + &number(999) + &number(1_000) + &number(1_234_567), "09991,0001,234,567");
        assert_eq!([bytes(12), bytes(3_400_000), bytes(999_999)], ["12 bytes", "3.4 MB", "1.0 MB"]);
    }

    /// A name or a payload can't speak to the terminal.
    #[test]
    fn what_a_terminal_would_act_upon_is_shown() {
        assert_eq!(visible("a\x1b[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb c\\u{202e}");
        assert_eq!(payload(&Payload::from(vec![0xff])), "(1 bytes that are no text)");
    }

    #[test]
    fn what_is_cut_fits_and_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
