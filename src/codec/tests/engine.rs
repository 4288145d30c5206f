//! The engine's operations: their texts, their tables, their readers.

use serde::Serialize;
use serde_json::value::RawValue;

use super::golden::pinned;
use super::tables::{known, names};
use super::{engine_samples, samples};
use crate::backend::*;
use crate::codec::engine::{self, Advanced, EngineRequest, Found};
use crate::codec::reader::Reader;
use crate::codec::tables::engine::{NAMES, OPERATIONS};
use crate::codec::tables::engine_records::ENGINE_RECORDS;
use crate::codec::{from_json, kept_schedules, operations, to_json};
use crate::model::{Error, Result, Status};

/// Reads an answer as the executor does, and writes it again.
fn there_and_back(operation: &str, text: &str) -> Result<String> {
    fn again<T: serde::de::DeserializeOwned + Serialize>(operation: &str, text: &str) -> Result<String> {
        from_json::<T>(operation, text).map(|value| to_json(&value))
    }
    match operation {
        "advance" => again::<Advanced>(operation, text),
        "journals" => engine::journals(text).map(|journals| to_json(&journals)),
        "cached" => engine::cached(text).map(|found| {
            to_json(&found.into_iter().map(|value| value.map(|value| Found { value })).collect::<Vec<_>>())
        }),
        "renew" => again::<Renewed>(operation, text),
        "sweep" => again::<Swept>(operation, text),
        "snapshot" => engine::snapshot(text).map(|snapshot| to_json(&snapshot)),
        "list" => again::<Vec<crate::model::Execution>>(operation, text),
        "dead_letters" => again::<Vec<crate::model::DeadLetter>>(operation, text),
        "replay_dead_letter" => again::<Replayed>(operation, text),
        "pauses" => again::<Vec<Pause>>(operation, text),
        "slot_waits" => again::<Vec<SlotWait>>(operation, text),
        "schedules" => kept_schedules(text).map(|kept| to_json(&kept)),
        "change_schedule" => again::<Vec<Tick>>(operation, text),
        "stats" => engine::stats(text).map(|stats| to_json(&stats)),
        "wait_for_work" => again::<Vec<Notice>>(operation, text),
        "dispatch" | "ended_among" | "cancelled_among" => again::<Vec<crate::model::Id>>(operation, text),
        _ => again::<()>(operation, text),
    }
}

#[test]
fn the_engines_operations_are_asked_and_answered_as_they_were() {
    #[derive(Serialize)]
    struct Example<'a> {
        request: &'a EngineRequest,
        response: &'a RawValue,
    }
    let samples = engine_samples::operations();
    let raw: Vec<Box<RawValue>> = samples.iter().map(|(_, answer)| serde_json::from_str(answer).unwrap()).collect();
    let examples: Vec<_> =
        samples.iter().zip(&raw).map(|((request, _), response)| Example { request, response }).collect();
    pinned("engine", &examples);
    for (request, answer) in &samples {
        let (name, body) = operations::asked_by_engine(request);
        assert_eq!(operations::engine_request(&name, Some(&body)).unwrap(), *request, "{name}");
        assert_eq!(there_and_back(&name, answer).unwrap(), *answer, "{name}");
    }
}

#[test]
fn the_protocols_answers_are_read_as_they_are_written() {
    for (request, response) in samples::operations() {
        let (name, body) = operations::asked(&request);
        assert_eq!(operations::request(&name, Some(&body)).unwrap(), request, "{name}");
        assert_eq!(operations::response(&name, &to_json(&response)).unwrap(), response, "{name}");
        assert_eq!(operations::response(&name, "{\"no such\": 1").unwrap_err().status(), Status::Invalid);
    }
}

#[test]
fn the_engines_tables_say_what_is_read() {
    assert_eq!(NAMES, known::<EngineRequest>(None));
    let samples = engine_samples::operations();
    assert_eq!(samples.len(), OPERATIONS.len());
    for (operation, (request, answer)) in OPERATIONS.iter().zip(&samples) {
        assert_eq!(operations::asked_by_engine(request).0, operation.name);
        assert_eq!(names(operation.request), known::<EngineRequest>(Some(operation.name)), "{}", operation.name);
        assert_eq!(answer == "null", operation.response.is_none(), "{}", operation.name);
    }
    type Names = &'static [&'static str];
    let structs: [(&str, Names); 19] = [
        ("new_execution", known::<NewExecution>(None)),
        ("new_worker", known::<NewWorker>(None)),
        ("new_function", known::<Function>(None)),
        ("claim", known::<Claim>(None)),
        ("claimed", known::<Claimed>(None)),
        ("cache_slot", known::<CacheSlot>(None)),
        ("transition", known::<Transition>(None)),
        ("held", known::<Held>(None)),
        ("commands", known::<Commands>(None)),
        ("spawn", known::<Spawn>(None)),
        ("advanced", known::<Advanced>(None)),
        ("journal_request", known::<JournalRequest>(None)),
        ("journal_entry", known::<JournalEntry>(None)),
        ("renew", known::<Renew>(None)),
        ("swept", known::<Swept>(None)),
        ("new_signal", known::<NewSignal>(None)),
        ("pause", known::<Pause>(None)),
        ("tick", known::<Tick>(None)),
        ("tick_counts", known::<TickCounts>(None)),
    ];
    let words = |name: &str| match name {
        "outcome" => &["hold", "release"][..],
        "verdict" => &["lease_lost", "cancelled"],
        "notice" => &["foreign"],
        "schedule_change" => &["delete", "resume"],
        _ => &[],
    };
    let enums: [(&str, Names); 5] = [
        ("spawn_kind", known::<SpawnKind>(None)),
        ("outcome", known::<Outcome>(None)),
        ("verdict", known::<Verdict>(None)),
        ("notice", known::<Notice>(None)),
        ("schedule_change", known::<ScheduleChange>(None)),
    ];
    for (name, mut fields) in structs
        .map(|(name, fields)| (name, fields.to_vec()))
        .into_iter()
        .chain(enums.map(|(name, variants)| (name, variants.to_vec())))
    {
        let record = ENGINE_RECORDS.iter().find(|record| record.name == name).unwrap();
        let mut described = names(record.fields);
        described.extend(words(name));
        described.sort_unstable();
        fields.sort_unstable();
        assert_eq!(described, fields, "{name}");
    }
}

#[test]
fn a_schedule_that_its_store_could_not_read_is_told_as_such() {
    let kept = r#"{"name":"n","function":"","times":[],"moon":"full","created_at":"2026-01-01T00:00:00Z",
        "updated_at":"2026-01-01T00:00:00Z","running":false,"waiting":0,"next":[],"last":[]"#;
    let of = |rest: &str| kept_schedules(&format!("[{kept}{rest}}}]").replace("\"moon\":\"full\",", ""));
    let told = of(r#","trouble":"it has a moon""#).unwrap().remove(0);
    assert_eq!((told.schedule, told.trouble.as_deref()), (KeptSchedule::stand_in("n"), Some("it has a moon")));
    assert!(of("").unwrap_err().message().contains("function"));
    let unknown = kept_schedules(&format!("[{kept}}}]")).unwrap_err();
    assert!(unknown.message().contains("moon"), "{unknown}");
}

#[test]
fn what_breaks_the_engines_contract_is_told() {
    let answer = |text: &str| from_json::<Advanced>("advance", text).unwrap_err();
    let nowhere = answer(r#"{"verdicts": ["lost"], "claimed": []}"#);
    assert!(nowhere.message().contains("verdicts[0]") && nowhere.message().contains("lease_lost"), "{nowhere}");
    let two = answer(r#"{"verdicts": [{"recorded": {}, "refused": {}}], "claimed": []}"#);
    assert!(two.message().contains("one member"), "{two}");
    let unit = answer(r#"{"verdicts": [{"lease_lost": {}}], "claimed": []}"#);
    assert!(unit.message().contains("the word alone"), "{unit}");
    let short = answer(r#"{"verdicts": [{"recorded": {"arrivals": []}}], "claimed": []}"#);
    assert!(short.message().contains("latest is missing"), "{short}");
    let text = to_json(&Verdict::Refused(Error::conflict("taken").with("key", "k").retryable(true)));
    let Verdict::Refused(error) = from_json("verdict", &text).unwrap() else { panic!("{text}") };
    assert_eq!((error.status(), error.message(), error.is_retryable()), (Status::Conflict, "taken", true));
    assert!(from_json::<Vec<JournalRequest>>("journals", r#"[[1, 2]]"#).is_err());
    let hash = Reader::new("hash", "\"zz\"").unwrap();
    assert!(crate::model::digest::deserialize(hash).is_err());
}
