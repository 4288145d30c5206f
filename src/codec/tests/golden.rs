//! Texts that others rely on, pinned by files in tests/golden. `UPDATE_GOLDEN=1 cargo test codec` writes them anew;
//! the difference is then for people to judge.

use std::fmt::Debug;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::samples;
use crate::backend::{Request, Response};
use crate::codec::reader::Reader;
use crate::codec::{describe, from_json, log_json, operations, to_json};
use crate::model::{Error, Level, Number, Status, Timestamp};

pub(super) fn pinned<T: Serialize + ?Sized>(name: &str, value: &T) -> String {
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|why| panic!("{}: {why}; UPDATE_GOLDEN=1 writes it", path.display()));
    assert!(golden == text, "{} is not what is written now (UPDATE_GOLDEN=1 writes it anew):\n{text}", path.display());
    text
}

fn record<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let text = pinned(name, value);
    assert_eq!(from_json::<T>(name, &text).unwrap(), *value, "{name}");
    assert_eq!(from_json::<T>(name, &to_json(value)).unwrap(), *value, "{name}");
}

#[test]
fn records_are_written_and_read_as_they_were() {
    record("execution", &samples::execution());
    record("execution_bare", &samples::bare_execution());
    record("task", &samples::task());
    record("signal", &samples::signal());
    record("progress", &samples::progress());
    record("dead_letter", &samples::dead_letter());
    record("failure", &samples::failure());
    record("retry_policy", &samples::retry_policy());
    record("numbers", &vec![Number::Integer(i64::MIN), Number::Real(1.0), Number::Real(-2.5e-7)]);
}

#[test]
fn operations_are_read_and_answered_as_they_were() {
    #[derive(Serialize)]
    struct Example<'a> {
        request: &'a Request,
        response: &'a Response,
    }
    let samples = samples::operations();
    let examples: Vec<_> = samples.iter().map(|(request, response)| Example { request, response }).collect();
    let text = pinned("operations", &examples);
    let elements: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
    for (element, (expected, _)) in elements.into_iter().zip(&samples) {
        let example = Reader::new("example", element.get()).unwrap().members().unwrap();
        let named = example[0].value.members().unwrap();
        let request = operations::request(&named[0].key, Some(named[0].value.text())).unwrap();
        assert_eq!(request, *expected);
    }
}

#[test]
fn what_executors_tell_is_as_it_was() {
    pinned("snapshot", &samples::snapshot());
    pinned("store_stats", &samples::stats());
    pinned("replayed", &samples::replayed());
    let time = Timestamp::from_micros(1_700_000_000_123_456);
    let fields = [("task", "charge#1".to_owned())];
    let line = log_json(time, Level::Warn, "stent.worker", "a lease was lost", &fields, 2);
    pinned("log", &serde_json::from_str::<Box<RawValue>>(&line).unwrap());
}

#[test]
fn errors_are_told_as_they_were() {
    let plain = Error::backend("claim: the database is locked (SQLite code 5)").retryable(true).with("code", 5);
    let failed = Error::failed("the child charge#1 failed: card 42 was declined", samples::failure());
    let unknown = crate::codec::options::step(Some("{\"kye\": 1}")).unwrap_err();
    pinned("errors", &[plain, failed, unknown, Error::new(Status::Forked, "forked")]);
}

#[test]
fn the_description_is_as_it_was() {
    pinned("describe", &describe::description());
    serde_json::from_str::<&RawValue>(crate::codec::describe()).unwrap();
}
