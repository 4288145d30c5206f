//! What holds for every text.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::tables::objects::OBJECTS;
use crate::codec::tables::operations::OPERATIONS;
use crate::codec::{self, CanonicalJson, from_json, operations, options, to_json};
use crate::model::{Canonical as _, Payload};

#[derive(Clone, Debug)]
enum Json {
    Scalar(String),
    Array(Vec<Json>),
    /// Distinct keys.
    Object(Vec<(String, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,20}\\.[0-9]{1,9}([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| to_json(&text)),
    ];
    scalar.prop_map(Json::Scalar).prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            proptest::collection::btree_map("[a-c\\\\\"\u{e9}\n]{0,2}", inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// Written with white space and an order of keys that `chance` decides.
fn written(value: &Json, chance: &mut dyn FnMut() -> usize) -> String {
    let blank = |chance: &mut dyn FnMut() -> usize| [" ", "", "\n", "\t\r", ""][chance() % 5];
    let text = match value {
        Json::Scalar(text) => text.clone(),
        Json::Array(elements) => {
            let parts: Vec<String> = elements.iter().map(|element| written(element, chance)).collect();
            format!("[{}{}]", parts.join(","), blank(chance))
        }
        Json::Object(members) => {
            let mut order: Vec<&(String, Json)> = members.iter().collect();
            for index in (1..order.len()).rev() {
                order.swap(index, chance() % (index + 1));
            }
            let member = |(key, value): &&(String, Json)| {
                format!("{}{}:{}", key_text(key, chance()), blank(chance), written(value, chance))
            };
            let parts: Vec<String> = order.iter().map(member).collect();
            format!("{{{}{}}}", parts.join(","), blank(chance))
        }
    };
    format!("{}{text}{}", blank(chance), blank(chance))
}

/// A key as it is, or with every character escaped.
fn key_text(key: &str, chance: usize) -> String {
    if chance.is_multiple_of(2) {
        return to_json(key);
    }
    let units: String = key.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{units}\"")
}

/// Chances from a seed.
fn chances(mut seed: u64) -> impl FnMut() -> usize {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    }
}

proptest! {
    #[test]
    fn payloads_come_back(bytes in vec(any::<u8>(), 0..40)) {
        let payload = Payload::from(bytes);
        let back: Payload = from_json("payload", &to_json(&payload)).unwrap();
        // White space around a JSON value is no part of it.
        prop_assert_eq!(back.as_bytes().trim_ascii(), payload.as_bytes().trim_ascii());
    }

    #[test]
    fn json_payloads_come_back_to_the_letter(value in json(), seed: u64) {
        let text = written(&value, &mut chances(seed));
        let payload = Payload::from(text.trim());
        prop_assert_eq!(&from_json::<Payload>("payload", &to_json(&payload)).unwrap(), &payload);
        prop_assert_eq!(codec::value_from_text("payload", &to_json(&payload)).unwrap(), payload);
    }

    #[test]
    fn order_and_white_space_make_no_difference(value in json(), one: u64, other: u64) {
        let [a, b] = [one, other].map(|seed| Payload::from(written(&value, &mut chances(seed))));
        prop_assert!(CanonicalJson.same(&a, &b), "{:?} {:?}", a, b);
        prop_assert_eq!(CanonicalJson.hash(&a, &b), CanonicalJson.hash(&b, &a));
    }

    #[test]
    fn canonical_means_the_same(value in json(), seed: u64) {
        let text = written(&value, &mut chances(seed));
        let canonical = crate::codec::canonical::canonical(text.as_bytes()).unwrap();
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        prop_assert_eq!(read(&canonical), read(text.as_bytes()));
        prop_assert_eq!(crate::codec::canonical::canonical(&canonical).unwrap(), canonical);
    }

    #[test]
    fn other_values_are_not_the_same(a in json(), b in json()) {
        let [one, other] = [&a, &b].map(|value| written(value, &mut chances(1)));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        if read(&one) != read(&other) {
            prop_assert!(!CanonicalJson.same(&Payload::from(one), &Payload::from(other)));
        }
    }

    #[test]
    fn garbage_is_an_error_and_no_panic(text in any::<String>(), bytes in vec(any::<u8>(), 0..60)) {
        swallow(&text);
        let _hash = CanonicalJson.hash(&Payload::from(bytes.clone()), &Payload::from(text.as_str()));
        let _failure = codec::failure_from_column(&bytes);
        let _task = codec::task_from_column(&bytes);
        let _tags = codec::tags_from_column(Some(&text));
    }

    #[test]
    fn json_of_any_shape_is_read_or_an_error_and_no_panic(value in json(), seed: u64) {
        swallow(&written(&value, &mut chances(seed)));
    }
}

proptest! {
    // Every table and every reader in each case.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn known_keys_with_any_values_are_read_or_an_error_and_no_panic(values in vec(json(), 30), seed: u64) {
        let mut chance = chances(seed);
        let tables = OBJECTS.iter().map(|object| object.fields);
        for fields in tables.chain(OPERATIONS.iter().map(|operation| operation.request)) {
            let chosen = fields.iter().zip(&values).filter(|_| chance().is_multiple_of(3)).collect::<Vec<_>>();
            let members = chosen.into_iter().map(|(field, value)| (field.name.to_owned(), value.clone()));
            swallow(&written(&Json::Object(members.collect()), &mut chances(seed)));
        }
    }
}

/// Hands a text to everything that reads one.
fn swallow(text: &str) {
    let given = Some(text);
    for operation in OPERATIONS {
        let _request = operations::request(operation.name, given);
    }
    let _unknown = operations::request(text, None);
    let _options = (
        options::dispatch(given),
        options::call(given),
        options::function(given),
        options::worker(given),
        options::sqlite(given),
        options::wait_signal(given),
        options::step(given),
        options::signal(given),
    );
    let _filters = (
        options::execution_filter(given),
        options::dead_letter_filter(given),
        options::cleanup(given),
        options::stats(given),
        options::configure(given),
        options::log(given),
        options::batch(given),
        options::none(given),
        options::dispatch_requests(text),
    );
    let _inputs = (
        codec::args_from_text(given),
        codec::kwargs_from_text(given),
        codec::args_list_from_text(text),
        codec::value_from_text("value", text),
        codec::failure_from_text(text),
        codec::number_from_text(text),
        codec::duration_from_text(text),
        codec::id_from_text("id", text),
    );
}
