//! The tables say what the readers do.

use serde::Deserialize;
use serde::de::value::Error as Stop;
use serde::de::{self, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::samples;
use crate::backend::Request;
use crate::codec::reader::Reader;
use crate::codec::tables::engine::OPERATIONS as ENGINE;
use crate::codec::tables::engine_records::ENGINE_RECORDS;
use crate::codec::tables::objects::{self, OBJECTS};
use crate::codec::tables::operations::{NAMES, OPERATIONS};
use crate::codec::tables::records::{FAILURE, RECORDS};
use crate::codec::tables::submissions::SUBMISSIONS;
use crate::codec::tables::{Field, Kind, Object};
use crate::codec::{
    backfill, from_json, operations, options, pause_schedule, put_schedules, schedule, schedule_filter, submission,
    to_json, trigger,
};
use crate::model::{DeadLetter, Execution, Failure, ProgressEntry, Rate, Result, RetryPolicy, Signal, Status, Task};

/// Asks a derived reader which names it knows, and reads nothing.
struct Probe<'a> {
    variant: Option<&'static str>,
    names: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> std::result::Result<V::Value, Stop> {
        Err(Stop::custom("asked"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Stop> {
        *self.names = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Stop> {
        *self.names = variants;
        if self.variant.is_some() { visitor.visit_enum(self) } else { self.deserialize_any(visitor) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> de::EnumAccess<'de> for Probe<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> std::result::Result<(V::Value, Self), Stop> {
        let name = IntoDeserializer::<Stop>::into_deserializer(self.variant.unwrap());
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Probe<'_> {
    type Error = Stop;

    fn unit_variant(self) -> std::result::Result<(), Stop> {
        panic!("an operation without fields is written as one with none, so that unknown fields are errors")
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _seed: T) -> std::result::Result<T::Value, Stop> {
        panic!("an operation has named fields")
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> std::result::Result<V::Value, Stop> {
        panic!("an operation has named fields")
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Stop> {
        *self.names = fields;
        self.deserialize_any(visitor)
    }
}

pub(super) fn known<T: for<'de> Deserialize<'de>>(variant: Option<&'static str>) -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _asked = T::deserialize(Probe { variant, names: &mut names });
    names
}

pub(super) fn names(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.name).collect()
}

/// The object without one of its members, or with another value for it.
fn with(text: &str, key: &str, value: Option<&str>) -> String {
    let members = Reader::new("sample", text).unwrap().members().unwrap();
    let mut parts = Vec::new();
    for member in &members {
        let value = if member.key == key { value } else { Some(member.value.text()) };
        parts.extend(value.map(|value| format!("{}:{value}", member.key_text)));
    }
    if members.iter().all(|member| member.key != key) {
        parts.extend(value.map(|value| format!("\"{key}\":{value}")));
    }
    format!("{{{}}}", parts.join(","))
}

/// What must be given is missed where it is not; what need not be is as its default says.
fn check_defaults(what: &str, fields: &[Field], sample: &str, read: &dyn Fn(&str) -> Result<String>) {
    for field in fields {
        let without = read(&with(sample, field.name, None));
        match field.default {
            None => {
                let error = without.expect_err(&format!("{what} is read without {}", field.name));
                assert!(error.message().contains(&format!("{} is missing", field.name)), "{error}");
            }
            Some(default) => {
                let given = read(&with(sample, field.name, Some(default)));
                assert_eq!(without.unwrap(), given.unwrap(), "{what}: the default of {}", field.name);
            }
        }
    }
}

fn check_record<T: for<'de> Deserialize<'de> + serde::Serialize>(name: &str, fields: &[Field], sample: &T) {
    assert_eq!(names(fields), known::<T>(None), "{name}");
    let text = to_json(sample);
    let written = Reader::new("sample", &text).unwrap().members().unwrap();
    assert_eq!(names(fields), written.iter().map(|member| &*member.key).collect::<Vec<_>>(), "{name}");
    check_defaults(name, fields, &text, &|text| from_json::<T>(name, text).map(|value| to_json(&value)));
}

#[test]
fn records_have_the_fields_that_the_tables_say() {
    for record in RECORDS {
        match record.name {
            "execution" => check_record::<Execution>(record.name, record.fields, &samples::execution()),
            "task" => check_record::<Task>(record.name, record.fields, &samples::task()),
            "signal" => check_record::<Signal>(record.name, record.fields, &samples::signal()),
            "progress" => check_record::<ProgressEntry>(record.name, record.fields, &samples::progress()),
            "dead_letter" => check_record::<DeadLetter>(record.name, record.fields, &samples::dead_letter()),
            other => panic!("{other} has no test"),
        }
    }
    check_record::<Failure>("failure", FAILURE.fields, &samples::failure());
    check_record::<RetryPolicy>("retry_policy", objects::RETRY_POLICY.fields, &samples::retry_policy());
}

#[test]
fn operations_have_the_fields_that_the_tables_say() {
    assert_eq!(NAMES, known::<Request>(None));
    let samples = samples::operations();
    assert_eq!(samples.len(), OPERATIONS.len());
    for (operation, (request, response)) in OPERATIONS.iter().zip(samples) {
        assert_eq!(names(operation.request), known::<Request>(Some(operation.name)), "{}", operation.name);
        let text = to_json(&request);
        let named = Reader::new("sample", &text).unwrap().members().unwrap();
        assert_eq!(named[0].key, operation.name);
        check_defaults(operation.name, operation.request, named[0].value.text(), &|text| {
            operations::request(operation.name, Some(text)).map(|request| to_json(&request))
        });
        if !operation.nullable {
            assert_ne!(to_json(&response), "null", "{}", operation.name);
        }
    }
}

/// Reads the options of an object, and tells what came of it.
fn read(object: &str, text: &str) -> Result<String> {
    fn told<T: std::fmt::Debug>(options: Result<T>) -> Result<String> {
        options.map(|options| format!("{options:?}"))
    }
    let given = Some(text);
    match object {
        "dispatch" => told(options::dispatch(given)),
        "dispatch_request" => told(options::dispatch_requests(&format!("[{text}]"))),
        "call" => told(options::call(given)),
        "function" => told(options::function(given)),
        "rate" => told(from_json::<Rate>("rate", text)),
        "retry_policy" => told(from_json::<RetryPolicy>("retry_policy", text)),
        "worker" => told(options::worker(given)),
        "sqlite" => told(options::sqlite(given)),
        "check" => told(options::check(given)),
        "custom" => told(options::custom(given)),
        "executor" | "replay_dead_letter" | "resume" => told(options::none(given)),
        "wait_signal" => told(options::wait_signal(given)),
        "step" => told(options::step(given)),
        "signal" => told(options::signal(given)),
        "execution_filter" => told(options::execution_filter(given)),
        "dead_letter_filter" => told(options::dead_letter_filter(given)),
        "pause" => told(options::pause(given)),
        "unpause" => told(options::unpause(given)),
        "cleanup" => told(options::cleanup(given)),
        "stats" => told(options::stats(given)),
        "configure" => told(options::configure(given)),
        "batch" => told(options::batch(given)),
        "log_handler" => told(options::log(given)),
        "schedule" => told(schedule(&timed(text))),
        "schedule_filter" => told(schedule_filter(given)),
        "declare_schedules" => told(put_schedules("app", "[]", given)),
        "pause_schedule" => told(pause_schedule(given)),
        "trigger_schedule" => told(trigger(given)),
        "backfill_schedule" => told(backfill(given)),
        other => panic!("{other} has no test"),
    }
}

/// A schedule with a time, if it has none.
fn timed(text: &str) -> String {
    let members = Reader::new("sample", text).unwrap().members().unwrap();
    let is_time = |key: &str| matches!(key, "cron" | "every" | "times");
    if members.iter().any(|member| is_time(&member.key) && !member.value.is_null()) {
        return text.to_owned();
    }
    with(text, "cron", Some("\"@daily\""))
}

fn other_than_default(field: &Field) -> String {
    match field.kind {
        Kind::String if field.name == "otlp_endpoint" => "\"http://x\"".to_owned(),
        Kind::String if field.name == "cron" => "\"* * * * *\"".to_owned(),
        Kind::String if field.name == "time_zone" => "\"Europe/Berlin\"".to_owned(),
        Kind::String => "\"x\"".to_owned(),
        Kind::Integer if field.name == "handler_stack_size" => "300000".to_owned(),
        Kind::Integer => "7".to_owned(),
        Kind::Number => "0.5".to_owned(),
        Kind::Boolean => (field.default != Some("true")).to_string(),
        Kind::Duration => "\"2s\"".to_owned(),
        Kind::Id => format!("\"{}\"", samples::id(9)),
        Kind::Time => "\"2026-01-31T08:30:00Z\"".to_owned(),
        Kind::Any | Kind::Array => "[1]".to_owned(),
        Kind::MapOf(Kind::Named("rate")) => "{\"a\":{\"limit\":9}}".to_owned(),
        Kind::Object | Kind::MapOf(_) => "{\"a\":1}".to_owned(),
        Kind::Word(words) => {
            format!("{:?}", words.iter().rfind(|w| Some(format!("{w:?}").as_str()) != field.default).unwrap())
        }
        Kind::Named("retry_policy") => "{\"max_attempts\":9}".to_owned(),
        Kind::Named("rate") => "{\"limit\":9}".to_owned(),
        Kind::Named("dispatch") => "{\"priority\":5}".to_owned(),
        Kind::Named(other) => panic!("{other} has no example"),
        Kind::ListOf(Kind::Named("dispatch_request")) => "[{\"function\":\"f\"}]".to_owned(),
        Kind::ListOf(Kind::Duration) => "[1,\"2s\"]".to_owned(),
        Kind::ListOf(Kind::Time) => "[\"2026-01-31T08:30:00Z\"]".to_owned(),
        Kind::ListOf(Kind::Word(words)) => format!("[\"{}\"]", words[0]),
        Kind::ListOf(_) => "[\"x\"]".to_owned(),
    }
}

#[test]
fn options_have_the_keys_and_defaults_that_the_tables_say() {
    for object in OBJECTS.iter().filter(|object| !NEEDS_ONE_OF_TWO.contains(&object.name)) {
        check_object(object, &|text| read(object.name, text));
    }
}

/// Every key is read and has the default that the table says; other keys are refused, and the known ones named.
fn check_object(object: &Object, read: &dyn Fn(&str) -> Result<String>) {
    let must: Vec<String> = object
        .fields
        .iter()
        .filter(|field| field.default.is_none())
        .map(|field| format!("\"{}\":{}", field.name, other_than_default(field)))
        .collect();
    let sample = format!("{{{}}}", must.join(","));
    let plain = read(&sample).unwrap();
    check_defaults(object.name, object.fields, &sample, read);
    for field in object.fields.iter().filter(|field| field.default.is_some()) {
        let (sample, plain) = match field.name {
            // They are of a key.
            "unique_for" | "unique_while" | "unique_existing" | "debounce" => {
                let keyed = with(&sample, "unique_key", Some("\"k\""));
                (keyed.clone(), read(&keyed).unwrap())
            }
            "debounce_max" => {
                let keyed = with(&with(&sample, "unique_key", Some("\"k\"")), "debounce", Some("1"));
                (keyed.clone(), read(&keyed).unwrap())
            }
            "fairness_weight" => {
                let keyed = with(&sample, "fairness_key", Some("\"k\""));
                (keyed.clone(), read(&keyed).unwrap())
            }
            _ => (sample.clone(), plain.clone()),
        };
        let changed = read(&with(&sample, field.name, Some(&other_than_default(field))));
        assert_ne!(changed.unwrap(), plain, "{}.{} is not read", object.name, field.name);
    }
    let error = read("{\"no such key\":1}").unwrap_err();
    assert!(error.message().contains("no such key"), "{error}");
    assert!(object.fields.iter().all(|field| error.message().contains(field.name)), "{error}");
}

#[test]
fn submissions_have_the_fields_that_the_tables_say() {
    for known in SUBMISSIONS.iter().filter(|known| !NEEDS_ONE_OF_TWO.contains(&known.request.name)) {
        let name = known.request.name;
        let text = |text: &str| if name == "schedule_put" { timed(text) } else { text.to_owned() };
        check_object(&known.request, &|given| submission(name, Some(&text(given))).map(|read| format!("{read:?}")));
    }
    let error = submission("no such operation", None).unwrap_err();
    assert!(SUBMISSIONS.iter().all(|known| error.message().contains(known.request.name)), "{error}");
}

/// Objects that say nothing without a queue or a function.
const NEEDS_ONE_OF_TWO: [&str; 2] = ["pause", "unpause"];

#[test]
fn a_pause_names_a_queue_or_a_function() {
    type Reading<'a> = &'a dyn Fn(&str) -> Result<String>;
    for object in NEEDS_ONE_OF_TWO {
        let both: [Reading<'_>; 2] =
            [&|text| read(object, text), &|text| submission(object, Some(text)).map(|read| format!("{read:?}"))];
        for read in both {
            let [queue, function] = [r#"{"queue":"x"}"#, r#"{"function":"x"}"#].map(|text| read(text).unwrap());
            assert_ne!(queue, function);
            for wrong in ["{}", r#"{"queue":null}"#, r#"{"queue":"x","function":"x"}"#, r#"{"queue":""}"#] {
                assert_eq!(read(wrong).unwrap_err().status(), Status::Invalid, "{object} {wrong}");
            }
            let unknown = read(r#"{"queue":"x","no such key":1}"#).unwrap_err();
            assert!(unknown.message().contains("no such key") && unknown.message().contains("function"), "{unknown}");
        }
    }
    let [plain, why, who] = ["", r#","reason":"a""#, r#","by":"a""#]
        .map(|more| read("pause", &format!(r#"{{"queue":"x"{more}}}"#)).unwrap());
    assert!(plain != why && plain != who && why != who, "{plain} {why} {who}");
}

#[test]
fn types_that_are_named_are_described() {
    fn check(kind: Kind) {
        match kind {
            Kind::Named(name) => assert!(
                name == FAILURE.name
                    || OBJECTS.iter().any(|object| object.name == name)
                    || RECORDS.iter().chain(ENGINE_RECORDS).any(|record| record.name == name),
                "{name} is not described"
            ),
            Kind::ListOf(of) | Kind::MapOf(of) => check(*of),
            _ => {}
        }
    }
    let records = RECORDS.iter().chain(ENGINE_RECORDS);
    let tables = OBJECTS.iter().map(|object| object.fields).chain(records.map(|record| record.fields));
    let operations = || OPERATIONS.iter().chain(ENGINE);
    let submitted = SUBMISSIONS.iter().map(|submission| submission.request.fields);
    for field in tables.chain(operations().map(|operation| operation.request)).chain(submitted).flatten() {
        check(field.kind);
    }
    let submitted = SUBMISSIONS.iter().filter_map(|submission| submission.response);
    operations().filter_map(|operation| operation.response).chain(submitted).for_each(check);
}
