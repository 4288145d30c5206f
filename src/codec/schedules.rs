//! Schedules as their owners write them, and as the stores keep them: the same JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::options::{Fields, dispatch_fields};
use super::output::to_json;
use super::reader::{Member, Reader};
use super::tables::objects;
use super::{from_json, input};
use crate::backend::{KeptSchedule, PutSchedules, ScheduleChange, ScheduleFilter, Tick, one_after_the_other};
use crate::model::{DispatchOptions, Error, Id, Payload, Result, Schedule, Timestamp, When};

const WHAT: &str = "schedule";

/// One schedule.
pub fn schedule(text: &str) -> Result<Schedule> {
    read(WHAT, text, Reader::object(WHAT, Some(text))?)
}

/// As [`schedule`]; no text is an empty object.
pub(super) fn optional_schedule(text: Option<&str>) -> Result<Schedule> {
    schedule(text.unwrap_or("{}"))
}

/// An array of schedules.
pub fn schedules(text: &str) -> Result<Vec<Schedule>> {
    const LIST: &str = "schedules";
    let elements = Reader::new(LIST, text)?.elements().map_err(|fault| fault.into_error(LIST, text))?;
    elements.into_iter().enumerate().map(|(place, element)| read(&format!("{LIST}[{place}]"), text, element)).collect()
}

pub(super) fn read(what: &str, text: &str, reader: Reader<'_>) -> Result<Schedule> {
    let fields = Fields::read(&objects::SCHEDULE, what.to_owned(), text, reader)?;
    let args = match fields.member("args") {
        Some(args) => input::args(&format!("{what}: args"), text, args)?,
        None => Payload::empty_array(),
    };
    let options = match fields.member("options") {
        Some(options) => {
            dispatch_fields(&Fields::read(&objects::DISPATCH, format!("{what}: options"), text, options)?)?
        }
        None => DispatchOptions::default(),
    };
    let (name, function) = (fields.name("name")?, fields.name("function")?);
    let (name, function) = (fields.needed("name", name)?, fields.needed("function", function)?);
    let default = Schedule::new(&name, &function, when(&fields)?);
    let schedule = Schedule {
        args,
        options,
        time_zone: fields.name("time_zone")?.unwrap_or(default.time_zone),
        start: fields.value("start")?,
        end: fields.value("end")?,
        jitter: fields.duration("jitter")?.unwrap_or(default.jitter),
        overlap: fields.value("overlap")?.unwrap_or(default.overlap),
        catch_up: fields.duration("catch_up")?.unwrap_or(default.catch_up),
        owner: fields.name("owner")?,
        time_argument: fields.name("time_argument")?,
        ..default
    };
    fields.checked(schedule.check().map(drop))?;
    Ok(schedule)
}

fn when(fields: &Fields<'_>) -> Result<When> {
    let cron: Option<String> = fields.value("cron")?;
    let every: Option<Duration> = fields.duration("every")?;
    let times: Option<Vec<Timestamp>> = fields.value("times")?;
    let mut given = cron.map(When::Cron).into_iter().chain(every.map(When::Every)).chain(times.map(When::Times));
    match (given.next(), given.next()) {
        (Some(when), None) => Ok(when),
        (None, _) => Err(fields.wrong("cron", "is missing, and so are every and times; give one of them")),
        (Some(_), Some(_)) => Err(fields.wrong("cron", "is not alone; give one of cron, every and times")),
    }
}

/// Which schedules are listed.
pub fn schedule_filter(text: Option<&str>) -> Result<ScheduleFilter> {
    let fields = Fields::from_text(&objects::SCHEDULE_FILTER, text)?;
    let default = ScheduleFilter::default();
    Ok(ScheduleFilter {
        name: fields.value("name")?,
        owner: fields.value("owner")?,
        function: fields.value("function")?,
        after: fields.value("after")?,
        limit: fields.value("limit")?.unwrap_or(default.limit),
        next: fields.value("next")?.unwrap_or(default.next),
        last: fields.value("last")?.unwrap_or(default.last),
    })
}

/// All schedules of an owner: each of them is his.
pub fn put_schedules(owner: &str, text: &str, options: Option<&str>) -> Result<PutSchedules> {
    let fields = Fields::from_text(&objects::DECLARE_SCHEDULES, options)?;
    let remove = fields.value("remove_others")?.unwrap_or(false);
    crate::model::check_name("owner", owner)?;
    let mut schedules = schedules(text)?;
    for schedule in &mut schedules {
        match &schedule.owner {
            Some(other) if other != owner => {
                let told = format!("schedules: '{}' is of the owner '{other}', not of '{owner}'", schedule.name);
                return Err(Error::invalid(told).with("key", "owner"));
            }
            _ => schedule.owner = Some(owner.to_owned()),
        }
    }
    Ok(PutSchedules { schedules, only_of: remove.then(|| owner.to_owned()) })
}

/// Why a schedule is paused.
pub fn pause_schedule(text: Option<&str>) -> Result<ScheduleChange> {
    pause_fields(&Fields::from_text(&objects::PAUSE_SCHEDULE, text)?)
}

/// By which rule a tick is made by hand.
pub fn trigger(text: Option<&str>) -> Result<ScheduleChange> {
    trigger_fields(&Fields::from_text(&objects::TRIGGER_SCHEDULE, text)?)
}

/// Which ticks are made by hand.
pub fn backfill(text: Option<&str>) -> Result<ScheduleChange> {
    backfill_fields(&Fields::from_text(&objects::BACKFILL_SCHEDULE, text)?)
}

pub(super) fn pause_fields(fields: &Fields<'_>) -> Result<ScheduleChange> {
    Ok(ScheduleChange::Pause { note: fields.value("note")? })
}

pub(super) fn trigger_fields(fields: &Fields<'_>) -> Result<ScheduleChange> {
    Ok(ScheduleChange::Trigger { overlap: fields.value("overlap")? })
}

pub(super) fn backfill_fields(fields: &Fields<'_>) -> Result<ScheduleChange> {
    Ok(ScheduleChange::Backfill {
        from: fields.needed("from", fields.value("from")?)?,
        to: fields.needed("to", fields.value("to")?)?,
        overlap: fields.value("overlap")?.unwrap_or_else(one_after_the_other),
    })
}

/// What a store adds to a schedule as it was put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    paused_at: Option<Timestamp>,
    #[serde(default)]
    pause_note: Option<String>,
    #[serde(default)]
    next_at: Option<Timestamp>,
    #[serde(default)]
    due_at: Option<Timestamp>,
    #[serde(default)]
    last_execution_id: Option<Id>,
    running: bool,
    waiting: u32,
    #[serde(default)]
    trouble: Option<String>,
    next: Vec<Timestamp>,
    last: Vec<Tick>,
}

/// Schedules as a store tells them.
pub fn kept_schedules(text: &str) -> Result<Vec<KeptSchedule>> {
    const WHAT: &str = "schedules";
    let elements = Reader::new(WHAT, text)?.elements().map_err(|fault| fault.into_error(WHAT, text))?;
    elements.into_iter().map(|element| kept(element).map_err(|fault| fault.into_error(WHAT, text))?).collect()
}

fn kept(element: Reader<'_>) -> std::result::Result<Result<KeptSchedule>, Fault> {
    let is_added = |name: &str| objects::SCHEDULE.fields.iter().all(|field| field.name != name);
    let (added, own): (Vec<_>, Vec<_>) = element.members()?.into_iter().partition(|member| is_added(&member.key));
    let object = |members: &[Member<'_>]| {
        let members = members.iter().map(|member| format!("{}:{}", member.key_text, member.value.text()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    Ok(from_json("schedules", &object(&added)).and_then(|added: Added| {
        let read = schedule(&object(&own));
        let schedule = match (read, own.iter().find(|member| member.key == "name")) {
            // The store's own library could not read it.
            (Err(_), Some(name)) if added.trouble.is_some() => {
                KeptSchedule::stand_in(&from_json::<String>("name", name.value.text())?)
            }
            (read, _) => read?,
        };
        Ok(KeptSchedule {
            schedule,
            created_at: added.created_at,
            updated_at: added.updated_at,
            paused_at: added.paused_at,
            pause_note: added.pause_note,
            next_at: added.next_at,
            due_at: added.due_at,
            last_execution_id: added.last_execution_id,
            running: added.running,
            waiting: added.waiting,
            trouble: added.trouble,
            next: added.next,
            last: added.last,
        })
    }))
}

pub fn schedule_to_column(schedule: &Schedule) -> Vec<u8> {
    to_json(schedule).into_bytes()
}

pub fn schedule_from_column(column: &[u8]) -> Result<Schedule> {
    let text = std::str::from_utf8(column).map_err(|why| Error::backend(format!("the stored schedule: {why}")))?;
    schedule(text).map_err(|why| Error::backend(format!("the stored schedule is not one of this library: {why}")))
}

/// Named arguments with a time among them.
pub fn with_time(kwargs: &Payload, name: &str, at: Timestamp) -> Result<Payload> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(kwargs.as_bytes())
        .map_err(|why| Error::backend(format!("the schedule's named arguments are no JSON object: {why}")))?;
    members.insert(name.to_owned(), RawValue::from_string(to_json(&at)).expect("a time is JSON"));
    Ok(Payload::from(to_json(&members).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = r#"{"name":"nightly","function":"report","args":[1,{"a":1.50}],"options":{"queue":"slow","kwargs":{"b":2},
            "priority":3,"retry_policy":{"max_attempts":5},"expiry":"2h","tags":["x"]},"cron":"30 2 * * MON-FRI",
            "time_zone":"Europe/Berlin","start":"2026-01-01T00:00:00Z","end":"2027-01-01T00:00:00Z","jitter":"30s",
            "overlap":"queue_one","catch_up":"1h","owner":"app","time_argument":"at"}"#;
        let whens = [r#""every":"15m""#, r#""times":["2026-01-01T00:00:00Z","2026-01-02T00:00:00.5Z"]"#];
        let others = whens.map(|when| format!(r#"{{"name":"n","function":"f",{when}}}"#));
        for text in others.iter().map(String::as_str).chain([text]) {
            let read = schedule(text).unwrap();
            let kept = schedule_to_column(&read);
            assert_eq!(schedule_from_column(&kept).unwrap(), read, "{}", String::from_utf8_lossy(&kept));
        }
        let read = schedule(text).unwrap();
        assert!(to_json(&read).contains(r#"[1,{"a":1.50}]"#), "numbers are as they were written");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            (r#"{"function":"f","every":1}"#, "name is missing"),
            (r#"{"name":"n","every":1}"#, "function is missing"),
            (r#"{"name":"n","function":"f"}"#, "give one of them"),
            (r#"{"name":"n","function":"f","every":1,"cron":"@daily"}"#, "give one of cron, every and times"),
            (r#"{"name":"n","function":"f","crom":"@daily"}"#, "crom"),
            (r#"{"name":"n","function":"f","every":1,"overlap":"maybe"}"#, "queue_one"),
            (
                r#"{"name":"n","function":"f","every":1,"options":{"id":"018f3c1e-7b5a-7c3d-9e4f-0123456789ab"}}"#,
                "options has id",
            ),
            (r#"{"name":"n","function":"f","cron":"@daily","time_zone":"Mars/Olympus"}"#, "Mars/Olympus"),
        ] {
            let error = schedule(text).unwrap_err();
            assert!(error.message().contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_is_one_of_the_named_arguments() {
        let kwargs = Payload::from(r#"{"b":1.0,"at":"x"}"#.as_bytes().to_vec());
        let with = with_time(&kwargs, "at", Timestamp::from_micros(1_500_000)).unwrap();
        assert_eq!(with.as_bytes(), br#"{"at":"1970-01-01T00:00:01.500000Z","b":1.0}"#);
    }

    #[test]
    fn what_an_owner_declares_is_his() {
        let one = r#"[{"name":"a","function":"f","every":1}]"#;
        let put = put_schedules("app", one, Some(r#"{"remove_others":true}"#)).unwrap();
        assert_eq!((put.schedules[0].owner.as_deref(), put.only_of.as_deref()), (Some("app"), Some("app")));
        assert_eq!(put_schedules("app", "[]", None).unwrap(), PutSchedules::default());
        let other = r#"[{"name":"a","function":"f","every":1,"owner":"else"}]"#;
        assert!(put_schedules("app", other, None).unwrap_err().message().contains("'else'"));
    }
}
