//! Text that a database can't hold is carried all the same: PostgreSQL stores no NUL, and one that was not made as UTF8
//! has not every character. What it has not stands there as DEL, the character's number in hexadecimal digits and a
//! semicolon: `a\x7f0;b`. DEL itself is written so too, and every text has one way to be written; so what is equal is
//! equal in the tables, and joined texts stay joined. JSON takes a DEL as it is.
//!
//! It is done where values go in and come out, for all statements alike: no column is forgotten.

use std::borrow::Cow;
use std::fmt::Write as _;

use sqlx::Executor as _;

use super::conn::Conn;
use super::error;
use crate::model::Result;

const ESCAPE: char = '\u{7f}';

/// The characters that a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// Made as UTF8; or as SQL_ASCII, which takes bytes as they come.
    All,
    Latin1,
    /// Of the others only this is known.
    Ascii,
}

impl Charset {
    /// By the name of the database's encoding.
    fn of(encoding: &str) -> Self {
        match encoding {
            "UTF8" | "SQL_ASCII" => Self::All,
            "LATIN1" => Self::Latin1,
            _ => Self::Ascii,
        }
    }

    pub async fn look(conn: &mut Conn) -> Result<Self> {
        let map = error::map("read the database's encoding");
        let row = conn.fetch_one(sqlx::raw_sql(include_str!("sql/server_encoding.sql"))).await.map_err(&map)?;
        let encoding: String = sqlx::Row::try_get(&row, 0).map_err(&map)?;
        Ok(Self::of(&encoding))
    }

    fn holds(self, character: char) -> bool {
        let last = match self {
            Self::All => char::MAX,
            Self::Latin1 => '\u{ff}',
            Self::Ascii => '\u{7e}',
        };
        character != '\0' && character != ESCAPE && character <= last
    }

    /// As it is stored.
    pub fn escape(self, text: &str) -> Cow<'_, str> {
        let plain = match self {
            Self::All => text.bytes().all(|byte| byte != 0 && byte != ESCAPE as u8),
            Self::Latin1 | Self::Ascii => text.chars().all(|character| self.holds(character)),
        };
        if plain {
            return Cow::Borrowed(text);
        }
        let mut stored = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            if self.holds(character) {
                stored.push(character);
            } else {
                let _infallible = write!(stored, "{ESCAPE}{:x};", u32::from(character));
            }
        }
        Cow::Owned(stored)
    }
}

/// As it was before [`Charset::escape`]. What nobody has escaped stays as it is.
pub(super) fn unescape(stored: &str) -> Cow<'_, str> {
    if !stored.contains(ESCAPE) {
        return Cow::Borrowed(stored);
    }
    let mut text = String::with_capacity(stored.len());
    let mut rest = stored;
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        text.push_str(before);
        let escaped = after.split_once(';').and_then(|(digits, after)| Some((character(digits)?, after)));
        rest = match escaped {
            Some((character, after)) => {
                text.push(character);
                after
            }
            None => {
                text.push(ESCAPE);
                after
            }
        };
    }
    Cow::Owned(text + rest)
}

fn character(digits: &str) -> Option<char> {
    let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_is_held_where_it_stands() {
        let texts =
            ["", "plain", "a\0b", "\0\0", "\u{7f}", "\u{7f}0;", "\u{7f}7f;0;", "ü", "日本語 🦀", "\u{7f}", "end\u{7f}"];
        for charset in [Charset::All, Charset::Latin1, Charset::Ascii] {
            for text in texts {
                let stored = charset.escape(text).into_owned();
                assert!(stored.chars().all(|c| c == ESCAPE || charset.holds(c)), "{charset:?} {stored:?}");
                assert_eq!(unescape(&stored), text, "{charset:?}");
            }
        }
        assert_eq!(Charset::All.escape("日本語"), "日本語");
        assert_eq!(Charset::Latin1.escape("ü日\0"), "ü\u{7f}65e5;\u{7f}0;");
        assert_eq!(Charset::of("LATIN1").escape("ü"), "ü");
        assert_eq!(Charset::of("EUC_JP").escape("ü"), "\u{7f}fc;");
    }

    #[test]
    fn texts_of_before_stay_as_they_are() {
        for text in ["\u{7f}", "a\u{7f}x;", "\u{7f};", "\u{7f}d800;", "\u{7f}1234567;", "\u{7f}+1;"] {
            assert_eq!(unescape(text), text);
        }
    }
}
