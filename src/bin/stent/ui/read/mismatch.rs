//! A replay that asks for something else than is recorded: what it says, taken apart. Pure.

use serde::Serialize;
use stent::model::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Of the operation.
    pub key: String,
    pub recorded: String,
    pub requested: String,
}

const KIND: &str = "Nondeterminism";

/// Between them stands what is asked for.
const ASKED: [&str; 3] = [" and is now asked for as ", ", and in its place comes ", ", and in its place "];
/// What to do, which follows.
const SO: &str = ": in every run the handler must ask";

impl Mismatch {
    /// None: it is another failure, or says it otherwise.
    pub fn of(failure: &Failure) -> Option<Self> {
        if failure.kind != KIND {
            return None;
        }
        let message = failure.message.split_once("operation ")?.1;
        let message = message.rsplit_once(SO).map_or(message, |(told, _)| told);
        let (key, rest) = message.split_once(" was recorded as ")?;
        let (recorded, requested) = ASKED.iter().find_map(|asked| rest.split_once(asked))?;
        let [key, recorded, requested] = [key, recorded, requested].map(str::to_owned);
        Some(Self { key, recorded, requested })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_found() {
        let so = "in every run the handler must ask for the same in the same order, so …";
        let told =
            |message: String| Mismatch::of(&Failure::new(KIND, message)).map(|m| (m.key, m.recorded, m.requested));
        let three = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(
            told(format!(
                "operation a#1 was recorded as activity \"a\" with args [1] and is now asked for as timer \"a\": {so}"
            )),
            three("a#1", "activity \"a\" with args [1]", "timer \"a\"")
        );
        assert_eq!(
            told(format!(
                "operation a#1 was recorded as step \"a\", and in its place b#1 is asked for, step \"b\": {so}"
            )),
            three("a#1", "step \"a\"", "b#1 is asked for, step \"b\"")
        );
        assert_eq!(
            told(format!("operation a#1 was recorded as step \"a\", and in its place comes the end of the task: {so}")),
            three("a#1", "step \"a\"", "the end of the task")
        );
        assert_eq!(told("it broke".to_owned()), None);
        assert_eq!(Mismatch::of(&Failure::new("Oops", "operation a was recorded as b, and in its place c")), None);
    }
}
