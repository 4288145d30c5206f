//! What is extreme, or wrong: as JSON text, for much of it is no value that a reader would give back.

use rand::Rng as _;

use crate::world::World;

const STRINGS: &[&str] = &[
    "\"\"",
    "\" \"",
    "\"日本語 😀\"",
    "\"e\\u0301\"",
    "\"it's; -- \\\" \\\\ %_\\n\\t\"",
    "\"null\"",
    "\"\\ud83d\"",
    "\"$1\"",
    "\"\\u007f\\u0001\"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
];

const INTEGERS: &[&str] = &[
    "-1",
    "-0",
    "1.5",
    "1e3",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "-2147483649",
];

const NUMBERS: &[&str] =
    &["1e308", "-1e308", "1e309", "5e-324", "-0.0", "0.1", "123456789012345678901234567890", "1.7976931348623157e308"];

const DURATIONS: &[&str] = &[
    "-1",
    "1e18",
    "1e308",
    "31536000000",
    "31536000001",
    "18446744073709551615",
    "\"25d\"",
    "\"1000000w\"",
    "\"1x\"",
    "\"\"",
    "\"-1s\"",
    "\"1h30m\"",
    "1e-12",
];

const IDS: &[&str] = &[
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"ffffffff-ffff-ffff-ffff-ffffffffffff\"",
    "\"FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF\"",
    "\"\"",
    "\"no id\"",
    "\"018f3c1e7b5a7c3d9e4f0123456789ab\"",
];

const TIMES: &[&str] = &[
    "\"1970-01-01T00:00:00Z\"",
    "\"1969-12-31T23:59:59.999999Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"-0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999Z\"",
    "\"9999-12-31T23:59:59.9999999Z\"",
    "\"9999-12-31T23:59:59-14:00\"",
    "\"+10000-01-01T00:00:00Z\"",
    "\"2024-02-30T00:00:00Z\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"2016-01-01 00:00:00\"",
    "\"2016-01-01T00:00:00+14:00\"",
    "\"\"",
    "0",
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "-0",
    "1e400",
    "12345678901234567890.10",
    "{\"b\": 1,\"a\":[ 2 ],\"b\":3}",
    "{\"$base64\":\"/wA=\"}",
    "{\"$base64\":\"bnVsbA==\"}",
    "{\"$base64\":\"\"}",
    "{\"$base64\":\"%%%\"}",
    "{\"a\":{\"$base64\":\"%%%\"}}",
    "\"\\u0000\"",
    "\"\\ud83d\"",
];

/// Anything, of whatever kind.
const OTHERS: &[&str] = &["null", "true", "0", "-1", "\"x\"", "[]", "[null]", "{}", "{\"x\":1}"];

/// Names may be so many bytes long.
const NAME_MAX: usize = 255;

impl World {
    /// Something that a field of this kind may find hard, or must not take.
    pub fn wild(&mut self, kind: &str) -> String {
        if self.one_in(6) {
            return self.pick(OTHERS).to_owned();
        }
        if self.one_in(12) {
            return self.deep_value();
        }
        match kind {
            "string" => self.wild_string(),
            "integer" => self.pick(INTEGERS).to_owned(),
            "number" if self.one_in(2) => self.pick(NUMBERS).to_owned(),
            "number" => self.pick(INTEGERS).to_owned(),
            "duration" => self.pick(DURATIONS).to_owned(),
            "uuid" => self.pick(IDS).to_owned(),
            "time" => self.pick(TIMES).to_owned(),
            _ => self.pick(VALUES).to_owned(),
        }
    }

    fn wild_string(&mut self) -> String {
        if !self.one_in(4) {
            return self.pick(STRINGS).to_owned();
        }
        let unit = self.pick(&["a", "é", "日", "😀"]);
        let bytes = self.pick(&[NAME_MAX - 4, NAME_MAX, NAME_MAX + 1, NAME_MAX + 5, 5_000]);
        format!("\"{}\"", unit.repeat(bytes / unit.len()))
    }

    /// As deep as readers go, or deeper.
    fn deep_value(&mut self) -> String {
        let depth = self.pick(&[100, 126, 127, 128, 129, 20_000]);
        let (open, close) = self.pick(&[("[", "]"), ("{\"a\":", "}")]);
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    }

    /// A text of which something is missing, or there is too much.
    pub fn broken(&mut self, mut text: String) -> String {
        match self.rng.random_range(0..8) {
            0 => String::new(),
            1 => "[]".to_owned(),
            2 => "null".to_owned(),
            3 => text + "x",
            4 => text.replacen('{', "{\"no_such\":1,", 1),
            5 => text.replacen("\":", "\":[", 1),
            6 => text.replace('"', "'"),
            _ => {
                let cut = self.rng.random_range(0..=text.len());
                text.truncate((0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
                text
            }
        }
    }
}
