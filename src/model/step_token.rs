//! What a step's own transaction is given to record the step by: which one of which task, and under which lease.

use std::fmt;
use std::str::FromStr;

use super::{Error, Id, Op, Result, Timestamp};

/// As text it is ASCII, whatever the names: a database of any encoding takes it. The functions for plain SQL read it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepToken {
    pub task: Id,
    pub execution: Id,
    pub fence: u64,
    pub op: Op,
    /// Of the operation.
    pub id: Id,
    pub started_at: Timestamp,
    pub key: String,
    pub name: String,
}

/// The first part: another form would have another number.
const FORM: &str = "1";

impl fmt::Display for StepToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, execution, fence, op, id, started_at, key, name } = self;
        let (task, execution, id) = (task.simple(), execution.simple(), id.simple());
        write!(f, "{FORM}.{task}.{execution}.{fence}.{op}.{id}.{}.", started_at.micros())?;
        key.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(".")?;
        name.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for StepToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let read = || match *parts {
            [FORM, task, execution, fence, op, id, started_at, key, name] => Some(Self {
                task: uuid(task)?,
                execution: uuid(execution)?,
                fence: number(fence)?,
                op: number(op)?,
                id: uuid(id)?,
                started_at: Timestamp::from_micros(number(started_at)?),
                key: name_of(key)?,
                name: name_of(name)?,
            }),
            _ => None,
        };
        read().ok_or_else(|| {
            Error::invalid("token: this is none that stent_task_transaction_begin has given").with("parameter", "token")
        })
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn uuid(text: &str) -> Option<Id> {
    let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| Id::try_parse(text).ok()).flatten()
}

fn name_of(hex: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|bytes| rest.is_empty() && !bytes.is_empty()).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> StepToken {
        StepToken {
            task: Id::from_u128(1),
            execution: Id::from_u128(2),
            fence: 3,
            op: 4,
            id: Id::from_u128(5),
            started_at: Timestamp::from_micros(1_700_000_000_000_006),
            key: "größe.1".to_owned(),
            name: "pay \u{1f4b0}".to_owned(),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_plain() {
        let text = token().to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'), "{text}");
        assert_eq!(text.parse::<StepToken>().unwrap(), token());
    }

    #[test]
    fn nothing_else_is_one() {
        let text = token().to_string();
        let cut = &text[..text.len() - 1];
        let others =
            ["", "1", "..", cut, &text.replacen('1', "2", 1), &format!("{text}.aa"), &text.replace(".3.", ".-3.")];
        for other in others {
            assert!(other.parse::<StepToken>().is_err(), "{other}");
        }
    }
}
