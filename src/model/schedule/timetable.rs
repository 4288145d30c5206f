//! The times of a schedule. Cron goes by what the clock of its time zone shows, and so by these rules where it is set:
//!
//! * a fixed time that is left out comes at the first moment after the gap; one that comes twice comes the first time;
//! * a pattern with a wildcard or a step in its seconds, minutes or hours fits each time that is shown: none in the gap, and
//!   both passes of an hour that comes twice.
//!
//! `every` counts time that passes, from the start or else from 1970, so that nothing but another start moves it.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::when::When;
use super::zone;
use crate::model::{Error, Result, Timestamp};

/// From one try to the next, where a search comes to no end.
const STEP: Duration = Duration::from_secs(6 * 3600);

/// A schedule's rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Timetable {
    rule: Rule,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum Rule {
    Cron {
        cron: Box<Cron>,
        zone: TimeZone,
    },
    /// In microseconds.
    Every {
        step: i64,
        anchor: i64,
    },
    /// Sorted.
    Times(Vec<Timestamp>),
}

impl Timetable {
    pub(super) fn new(when: &When, time_zone: &str, start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self> {
        let rule = match when {
            When::Cron(pattern) => cron(pattern, time_zone)?,
            When::Every(every) => Rule::Every {
                step: i64::try_from(every.as_micros()).unwrap_or(i64::MAX),
                anchor: start.unwrap_or_default().micros(),
            },
            When::Times(times) => {
                let mut times = times.clone();
                times.sort_unstable();
                times.dedup();
                Rule::Times(times)
            }
        };
        Ok(Self { rule, start, end })
    }

    /// The first tick after this time. `None`: there is none any more.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let before_start = self.start.map(|start| Timestamp::from_micros(start.micros().saturating_sub(1)));
        let at = before_start.map_or(at, |before| before.max(at));
        let next = match &self.rule {
            Rule::Cron { cron, zone } => next_by_cron(cron, zone, at),
            Rule::Every { step, anchor } => next_by_step(*step, *anchor, at.micros()),
            Rule::Times(times) => times.get(times.partition_point(|time| *time <= at)).copied(),
        };
        next.filter(|next| self.end.is_none_or(|end| *next <= end))
    }

    /// The ticks after this time, as long as they are asked for.
    pub fn ticks(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.after(after), |last| self.after(*last))
    }
}

fn cron(pattern: &str, time_zone: &str) -> Result<Rule> {
    let wrong = |why: String| {
        let what = "a cron pattern of five fields (minute, hour, day, month, weekday), six with seconds before them, or a \
                    name such as @daily";
        Error::invalid(format!("cron {pattern:?} is not {what}: {why}")).with("key", "cron")
    };
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let cron =
        parser.parse(pattern).map_err(|why| wrong(fault(&parser, pattern).unwrap_or_else(|| why.to_string())))?;
    let cron = Box::new(cron);
    let zone = zone::zone(time_zone)?;
    if next_by_cron(&cron, &zone, Timestamp::default()).is_none() {
        return Err(wrong("there is no such day".to_owned()));
    }
    Ok(Rule::Cron { cron, zone })
}

/// What is wrong with a pattern, where one part of it is: each field is looked at between stars.
fn fault(parser: &CronParser, pattern: &str) -> Option<String> {
    const NAMES: [&str; 6] = ["second", "minute", "hour", "day", "month", "weekday"];
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let names = match fields.len() {
        1 if pattern.starts_with('@') => return Some("there is no such name".to_owned()),
        count @ (5 | 6) => &NAMES[6 - count..],
        1 => return Some("it has 1 field".to_owned()),
        count => return Some(format!("it has {count} fields")),
    };
    let is_wrong = |(at, field): &(usize, &&str)| {
        let mut alone = vec!["*"; fields.len()];
        alone[*at] = field;
        parser.parse(&alone.join(" ")).is_err()
    };
    fields.iter().enumerate().find(is_wrong).map(|(at, field)| format!("'{field}' is no {}", names[at]))
}

fn next_by_cron(cron: &Cron, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    // It looks at whole seconds: none of them is before the one that has begun.
    let from = |at: Timestamp| {
        let from = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
        let next = cron.find_next_occurrence(&Zoned::new(from, zone.clone()), false).ok()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    };
    // A whole day that a zone has left out is too much for it: Samoa had none on 2011-12-30.
    (0..=5).find_map(|tries| from(at.after(STEP * tries)))
}

fn next_by_step(step: i64, anchor: i64, at: i64) -> Option<Timestamp> {
    if at < anchor {
        return Some(Timestamp::from_micros(anchor));
    }
    let passed = at.checked_sub(anchor)?;
    let next = (passed / step).checked_add(1)?.checked_mul(step)?.checked_add(anchor)?;
    Some(Timestamp::from_micros(next))
}

#[cfg(test)]
mod tests {
    use super::super::Schedule;
    use super::super::tests::schedule;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of(pattern: &str, time_zone: &str) -> Timetable {
        let cron = schedule(When::Cron(pattern.to_owned()));
        Schedule { time_zone: time_zone.to_owned(), ..cron }.check().unwrap()
    }

    /// The next ticks after a time, without what they all have.
    fn ticks(table: &Timetable, after: &str, count: usize) -> Vec<String> {
        table.ticks(at(after)).take(count).map(|tick| tick.to_string().replace(".000000Z", "Z")).collect()
    }

    #[test]
    fn patterns_of_five_and_six_fields_names_and_nicknames() {
        let after = "2026-02-27T10:00:00.5Z";
        for (pattern, expected) in [
            ("* * * * *", "2026-02-27T10:01:00Z"),
            ("*/15 * * * * *", "2026-02-27T10:00:15Z"),
            ("0 0 * * *", "2026-02-28T00:00:00Z"),
            ("30 4 * * MON-FRI", "2026-03-02T04:30:00Z"),
            ("0 12 1 MAR *", "2026-03-01T12:00:00Z"),
            ("0 0 L * *", "2026-02-28T00:00:00Z"),
            ("0 0 * * FRI#L", "2026-03-27T00:00:00Z"),
            ("0 0 * * MON#2", "2026-03-09T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
            ("@monthly", "2026-03-01T00:00:00Z"),
            ("@weekly", "2026-03-01T00:00:00Z"),
            ("@daily", "2026-02-28T00:00:00Z"),
            ("@hourly", "2026-02-27T11:00:00Z"),
            // A day of the month or of the week, as cron has it.
            ("0 0 13 * FRI", "2026-03-06T00:00:00Z"),
        ] {
            assert_eq!(ticks(&of(pattern, "UTC"), after, 1), [expected], "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in
            ["", "* * * *", "* * * * * * *", "@reboot", "@never", "a b c d e", "60 * * * *", "* 24 * * *", "0 0 31 4 *"]
        {
            let error = schedule(When::Cron(wrong.to_owned())).check().unwrap_err();
            assert!(error.message().starts_with("cron "), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (pattern, told) in [
            ("61 * * * *", "'61' is no minute"),
            ("0 0 24 * * *", "'24' is no hour"),
            ("0 0 * FOO *", "'FOO' is no month"),
            ("* * * *", "it has 4 fields"),
            ("daily", "it has 1 field"),
            ("@secondly", "there is no such name"),
        ] {
            let error = schedule(When::Cron(pattern.to_owned())).check().unwrap_err();
            assert!(error.message().ends_with(told), "{error}");
        }
    }

    #[test]
    fn a_tick_on_the_second_is_not_told_twice() {
        let table = of("*/5 * * * * *", "UTC");
        assert_eq!(ticks(&table, "2026-01-01T00:00:04.999999Z", 2), ["2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z"]);
        assert_eq!(ticks(&table, "2026-01-01T00:00:05Z", 1), ["2026-01-01T00:00:10Z"]);
        assert_eq!(ticks(&table, "2026-01-01T00:00:05.000001Z", 1), ["2026-01-01T00:00:10Z"]);
    }

    #[test]
    fn a_fixed_time_that_is_left_out_comes_after_the_gap() {
        // Berlin goes from 02:00 to 03:00 on 2026-03-29.
        let berlin = of("30 2 * * *", "Europe/Berlin");
        let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(ticks(&berlin, "2026-03-27T12:00:00Z", 3), expected);
        // New York from 02:00 to 03:00 on 2026-03-08.
        let york = of("15 2 * * *", "America/New_York");
        let expected = ["2026-03-07T07:15:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"];
        assert_eq!(ticks(&york, "2026-03-06T12:00:00Z", 3), expected);
        // Lord Howe Island by half an hour, from 02:00 to 02:30 on 2026-10-04.
        let howe = of("10 2 * * *", "Australia/Lord_Howe");
        let expected = ["2026-10-02T15:40:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:10:00Z"];
        assert_eq!(ticks(&howe, "2026-10-02T00:00:00Z", 3), expected);
    }

    #[test]
    fn a_fixed_time_that_comes_twice_comes_the_first_time() {
        // Berlin goes from 03:00 back to 02:00 on 2026-10-25.
        let berlin = of("30 2 * * *", "Europe/Berlin");
        let expected = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(ticks(&berlin, "2026-10-23T12:00:00Z", 3), expected);
        // Asked within the second pass, it is over.
        assert_eq!(ticks(&berlin, "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn a_pattern_with_wildcards_fits_what_the_clock_shows() {
        let berlin = of("*/30 * * * *", "Europe/Berlin");
        let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
        assert_eq!(ticks(&berlin, "2026-03-29T00:00:00Z", 3), expected);
        let expected = [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
        ];
        assert_eq!(ticks(&berlin, "2026-10-24T23:30:00Z", 5), expected);
    }

    #[test]
    fn a_day_that_is_left_out_has_no_gap_of_its_own() {
        // Samoa left out 2011-12-30.
        let apia = of("0 12 * * *", "Pacific/Apia");
        let got = ticks(&apia, "2011-12-29T00:00:00Z", 3);
        assert_eq!((got[0].as_str(), got[1].as_str()), ("2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"), "{got:?}");
    }

    #[test]
    fn every_counts_from_its_start_and_else_from_1970() {
        let quarter = schedule(When::Every(Duration::from_secs(900)));
        let table = quarter.check().unwrap();
        assert_eq!(ticks(&table, "2026-01-01T00:07:00Z", 2), ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]);
        assert_eq!(ticks(&table, "2026-01-01T00:15:00Z", 1), ["2026-01-01T00:30:00Z"]);
        let moved = Schedule { start: Some(at("2026-01-01T00:07:00Z")), ..quarter };
        let table = moved.check().unwrap();
        let expected = ["2026-01-01T00:07:00Z", "2026-01-01T00:22:00Z"];
        assert_eq!(ticks(&table, "2020-01-01T00:00:00Z", 2), expected);
        assert_eq!(ticks(&table, "2026-01-01T00:07:00Z", 1), expected[1..]);
    }

    #[test]
    fn times_start_and_end_bound_what_comes() {
        let times = ["2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"];
        let listed = schedule(When::Times(times.map(at).to_vec()));
        let table = listed.check().unwrap();
        assert_eq!(ticks(&table, "2000-01-01T00:00:00Z", 9), [times[1], times[2], times[0]]);
        assert_eq!(table.after(at(times[0])), None);
        let daily = |start, end| Schedule { start, end, ..schedule(When::Cron("@daily".to_owned())) };
        let bounded = daily(Some(at("2026-01-02T00:00:00Z")), Some(at("2026-01-03T00:00:00Z"))).check().unwrap();
        assert_eq!(ticks(&bounded, "2000-01-01T00:00:00Z", 9), ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]);
        let late = daily(Some(at("2026-01-02T00:00:00.000001Z")), None).check().unwrap();
        assert_eq!(ticks(&late, "2000-01-01T00:00:00Z", 1), ["2026-01-03T00:00:00Z"]);
    }

    #[test]
    fn the_ends_of_time_are_no_error() {
        for table in [of("@daily", "Europe/Berlin"), schedule(When::Every(Duration::from_secs(1))).check().unwrap()] {
            assert_eq!(table.after(Timestamp::from_micros(i64::MAX)), None);
            let _first = table.after(Timestamp::from_micros(i64::MIN));
        }
    }
}
