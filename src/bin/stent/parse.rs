//! What the words of the command line mean; of those that mean nothing, what would.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use stent::codec;
use stent::model::{Error, Id, Timestamp, parse_duration};

pub fn id(text: &str) -> Result<Id, String> {
    codec::id_from_text("id", text).map_err(|why| why.message().to_owned())
}

pub fn state<S: FromStr<Err = Error>>(text: &str) -> Result<S, String> {
    text.parse().map_err(|why: Error| why.message().to_owned())
}

pub fn states(what: &str, words: &[&str]) -> String {
    format!("{what}: {}", words.join(", "))
}

/// A date, or how long ago.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(age) = parse_duration(text) {
        return Ok(crate::words::now().before(age));
    }
    text.parse().map_err(|_| "it is neither a date, as 2026-01-31T08:00:00Z, nor an age, as 2h30m".to_owned())
}

pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|why| why.message().to_owned())
}

/// How many are wanted.
pub fn count(text: &str) -> Result<u32, String> {
    number(text).and_then(|count| if count == 0 { Err("ask for one at least".to_owned()) } else { Ok(count) })
}

pub fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("it is no whole number from 0 to {}", u32::MAX))
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is an address with a port, as 127.0.0.1:7878 or [::1]:7878".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_told_without_the_words_of_a_program() {
        for why in [
            duration("never").unwrap_err(),
            count("x").unwrap_err(),
            count("0").unwrap_err(),
            number("-1").unwrap_err(),
            address("nonsense").unwrap_err(),
            time("yesterday").unwrap_err(),
        ] {
            assert!(!why.contains("INVALID") && !why.contains("syntax") && !why.contains("digit found"), "{why}");
        }
        assert_eq!((count("7"), number("0")), (Ok(7), Ok(0)));
    }
}
