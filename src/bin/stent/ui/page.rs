//! Which pages there are, and their addresses: the same words lead to HTML, to JSON under `/api`, and to the stream of
//! events. Pure but for ages in queries, which the clock makes times of.

use std::borrow::Cow;

use stent::codec;
use stent::model::{ExecutionState, Id, TaskState, Timestamp, parse_duration};

use super::fields::{Fields, link};
use super::refusal::{Answer, Refusal};
use crate::words;

/// Lines on a page, and the most that may be asked for.
const LINES: u32 = 50;
const LINES_MAX: u32 = 500;

#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    Overview,
    Executions(Box<Wanted>),
    Execution(Id),
    Tree { execution: Id, from: usize },
    Journal { execution: Id, task: Option<Id>, from: usize },
    Task { execution: Id, task: Id },
    Tasks(Box<WantedTasks>),
    Letters(Box<WantedLetters>),
    Letter(Id),
    Schedules(Box<WantedSchedules>),
    Workers,
    Functions,
    Queues,
    Health,
}

/// Every address of the API that is read, as its document has it.
#[cfg(test)]
pub const READS: &[&str] = &[
    "/overview",
    "/executions",
    "/executions/{id}",
    "/executions/{id}/tree",
    "/executions/{id}/journal",
    "/executions/{id}/tasks/{task}",
    "/tasks",
    "/dead-letters",
    "/dead-letters/{task}",
    "/schedules",
    "/workers",
    "/functions",
    "/queues",
    "/health",
];

/// Where a page of a list begins: after so many of those of one moment, which earlier pages had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub at: Timestamp,
    pub passed: u32,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}", self.at, self.passed)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub state: Option<ExecutionState>,
    pub function: Option<String>,
    pub queue: Option<String>,
    pub tag: Option<String>,
    /// As they were given: an age stays one in links.
    pub since: Option<String>,
    pub until: Option<String>,
    /// The beginning of an id, in lower case.
    pub id: Option<String>,
    pub limit: u32,
    pub after: Option<Cursor>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedTasks {
    pub state: Option<TaskState>,
    pub function: Option<String>,
    pub queue: Option<String>,
    pub limit: u32,
    pub after: Option<Id>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedLetters {
    pub function: Option<String>,
    pub execution: Option<Id>,
    pub limit: u32,
    pub offset: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedSchedules {
    /// This one alone, with more of its ticks.
    pub name: Option<String>,
    pub function: Option<String>,
    pub limit: u32,
    /// The last one of the page before.
    pub after: Option<String>,
}

impl Page {
    /// `path`: without the base, `/api` or `/events`.
    pub fn find(path: &str, fields: &Fields) -> Answer<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Ok(match parts.as_slice() {
            [] | ["overview"] => Self::Overview,
            ["executions"] => Self::Executions(Box::new(Wanted::read(fields)?)),
            ["executions", id] => Self::Execution(of(id)?),
            ["executions", id, "tree"] => Self::Tree { execution: of(id)?, from: place(fields)? },
            ["executions", id, "journal"] => Self::Journal {
                execution: of(id)?,
                task: fields.one("task").map(of).transpose()?,
                from: place(fields)?,
            },
            ["executions", id, "tasks", task] => Self::Task { execution: of(id)?, task: of(task)? },
            ["tasks"] => Self::Tasks(Box::new(WantedTasks::read(fields)?)),
            ["dead-letters"] => Self::Letters(Box::new(WantedLetters::read(fields)?)),
            ["dead-letters", task] => Self::Letter(of(task)?),
            ["schedules"] => Self::Schedules(Box::new(WantedSchedules::read(fields)?)),
            ["workers"] => Self::Workers,
            ["functions"] => Self::Functions,
            ["queues"] => Self::Queues,
            ["health"] => Self::Health,
            _ => return Err(Refusal::missing("There is no such page.").hint("The menu has all that there are.")),
        })
    }

    /// Its address, without the base.
    pub fn link(&self) -> String {
        match self {
            Self::Overview => "/".to_owned(),
            Self::Executions(wanted) => wanted.link(),
            Self::Execution(id) => format!("/executions/{id}"),
            Self::Tree { execution, from } => link(&format!("/executions/{execution}/tree"), [from_field(*from)]),
            Self::Journal { execution, task, from } => {
                let task = task.map(|task| Cow::from(task.to_string()));
                link(&format!("/executions/{execution}/journal"), [("task", task), from_field(*from)])
            }
            Self::Task { execution, task } => format!("/executions/{execution}/tasks/{task}"),
            Self::Tasks(wanted) => wanted.link(),
            Self::Letters(wanted) => wanted.link(),
            Self::Letter(task) => format!("/dead-letters/{task}"),
            Self::Schedules(wanted) => wanted.link(),
            Self::Workers => "/workers".to_owned(),
            Self::Functions => "/functions".to_owned(),
            Self::Queues => "/queues".to_owned(),
            Self::Health => "/health".to_owned(),
        }
    }
}

fn from_field(from: usize) -> (&'static str, Option<Cow<'static, str>>) {
    ("from", (from > 0).then(|| from.to_string().into()))
}

fn of(id: &str) -> Answer<Id> {
    Ok(codec::id_from_text("id", id)?)
}

fn number<N: std::str::FromStr>(fields: &Fields, name: &str) -> Answer<Option<N>> {
    let wrong = |text: &str| Refusal::invalid(format!("'{}' is no number for '{name}'", words::cut(text, 40)));
    fields.one(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn place(fields: &Fields) -> Answer<usize> {
    Ok(number(fields, "from")?.unwrap_or(0))
}

fn lines(fields: &Fields) -> Answer<u32> {
    Ok(number(fields, "limit")?.unwrap_or(LINES).clamp(1, LINES_MAX))
}

fn lines_field(limit: u32) -> (&'static str, Option<Cow<'static, str>>) {
    ("limit", (limit != LINES).then(|| limit.to_string().into()))
}

/// A date, or how long ago.
pub fn time(what: &str, text: &str) -> Answer<Timestamp> {
    if let Ok(age) = parse_duration(text) {
        return Ok(words::now().before(age));
    }
    // As browsers' own fields have it: without seconds or a zone.
    let whole = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    whole.iter().find_map(|text| text.parse().ok()).ok_or_else(|| {
        Refusal::invalid(format!("'{}' is no time for '{what}'", words::cut(text, 40)))
            .hint("Write an age, such as 2h30m or 7d, or a date, such as 2026-01-31 or 2026-01-31T08:00:00Z.")
    })
}

impl Wanted {
    fn read(fields: &Fields) -> Answer<Self> {
        let id = fields.one("id").map(|id| id.to_ascii_lowercase());
        if let Some(id) = &id
            && (id.len() > 36 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
        {
            return Err(Refusal::invalid(format!("'{}' is not the beginning of an id", words::cut(id, 40)))
                .hint("An id has the digits 0 to 9 and the letters a to f, such as 019ac89a-f000."));
        }
        let wanted = Self {
            state: fields.one("state").map(str::parse).transpose()?,
            function: fields.text("function"),
            queue: fields.text("queue"),
            tag: fields.text("tag"),
            since: fields.text("since"),
            until: fields.text("until"),
            id,
            limit: lines(fields)?,
            after: fields.one("after").map(cursor).transpose()?,
        };
        wanted.bounds()?;
        Ok(wanted)
    }

    /// Since and until, as times.
    pub fn bounds(&self) -> Answer<(Option<Timestamp>, Option<Timestamp>)> {
        let of = |what, text: &Option<String>| text.as_deref().map(|text| time(what, text)).transpose();
        Ok((of("since", &self.since)?, of("until", &self.until)?))
    }

    pub fn is_filtered(&self) -> bool {
        let words = [&self.function, &self.queue, &self.tag, &self.since, &self.until, &self.id];
        self.state.is_some() || words.iter().any(|word| word.is_some())
    }

    pub fn link(&self) -> String {
        let text = |text: &Option<String>| text.clone().map(Cow::from);
        link(
            "/executions",
            [
                ("state", self.state.map(|state| state.as_str().into())),
                ("function", text(&self.function)),
                ("queue", text(&self.queue)),
                ("tag", text(&self.tag)),
                ("since", text(&self.since)),
                ("until", text(&self.until)),
                ("id", text(&self.id)),
                lines_field(self.limit),
                ("after", self.after.map(|after| after.to_string().into())),
            ],
        )
    }
}

fn cursor(text: &str) -> Answer<Cursor> {
    let parts = text.rsplit_once('+').and_then(|(at, passed)| Some((at.parse().ok()?, passed.parse().ok()?)));
    let wrong = || Refusal::invalid(format!("'{}' is no place in a list", words::cut(text, 40)));
    parts.map(|(at, passed)| Cursor { at, passed }).ok_or_else(wrong)
}

impl WantedTasks {
    fn read(fields: &Fields) -> Answer<Self> {
        Ok(Self {
            state: fields.one("state").map(str::parse).transpose()?,
            function: fields.text("function"),
            queue: fields.text("queue"),
            limit: lines(fields)?,
            after: fields.one("after").map(of).transpose()?,
        })
    }

    pub fn link(&self) -> String {
        let text = |text: &Option<String>| text.clone().map(Cow::from);
        link(
            "/tasks",
            [
                ("state", self.state.map(|state| state.as_str().into())),
                ("function", text(&self.function)),
                ("queue", text(&self.queue)),
                lines_field(self.limit),
                ("after", self.after.map(|after| after.to_string().into())),
            ],
        )
    }
}

impl WantedLetters {
    fn read(fields: &Fields) -> Answer<Self> {
        Ok(Self {
            function: fields.text("function"),
            execution: fields.one("execution").map(of).transpose()?,
            limit: lines(fields)?,
            offset: number(fields, "offset")?.unwrap_or(0),
        })
    }

    pub fn link(&self) -> String {
        link(
            "/dead-letters",
            self.filter().into_iter().chain([
                lines_field(self.limit),
                ("offset", (self.offset > 0).then(|| self.offset.to_string().into())),
            ]),
        )
    }

    /// What it admits, without the place.
    pub fn filter(&self) -> [(&'static str, Option<Cow<'static, str>>); 2] {
        [
            ("function", self.function.clone().map(Cow::from)),
            ("execution", self.execution.map(|id| id.to_string().into())),
        ]
    }
}

impl WantedSchedules {
    fn read(fields: &Fields) -> Answer<Self> {
        Ok(Self {
            name: fields.text("name"),
            function: fields.text("function"),
            limit: lines(fields)?,
            after: fields.text("after"),
        })
    }

    pub fn one(name: &str) -> Self {
        Self { name: Some(name.to_owned()), limit: LINES, ..Self::default() }
    }

    pub fn link(&self) -> String {
        let text = |text: &Option<String>| text.clone().map(Cow::from);
        let fields = [("name", text(&self.name)), ("function", text(&self.function))];
        link("/schedules", fields.into_iter().chain([lines_field(self.limit), ("after", text(&self.after))]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str) -> Page {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        Page::find(path, &Fields::parse(query.as_bytes())).unwrap()
    }

    #[test]
    fn every_address_leads_to_its_page_and_back() {
        let id = "019ac89a-f000-7000-8000-000000000002";
        for path in READS {
            let page = found(&path.replace("{id}", id).replace("{task}", id));
            assert_eq!(found(&page.link()), page);
        }
        let deep = [
            "/executions?state=failed&function=a%26b&tag=%3Cb%3E&since=1h&until=2026-01-31&id=019a&limit=7",
            "/executions?after=2026-01-31T08%3A00%3A00.000000Z%2B3",
            "/tasks?state=waiting&after=019ac89a-f000-7000-8000-000000000002",
            "/dead-letters?function=f&offset=50",
            "/schedules?function=f&limit=7&after=a%26b",
            "/schedules?name=nightly+report",
            "/executions/019ac89a-f000-7000-8000-000000000002/journal?from=200",
        ];
        for address in deep {
            assert_eq!(found(address).link(), address);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for address in [
            "/x",
            "/executions/x",
            "/executions?id=xyz",
            "/executions?state=odd",
            "/executions?since=soon",
            "/executions?after=x",
            "/executions?limit=x",
            "/executions/1/2/3/4",
        ] {
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            assert!(Page::find(path, &Fields::parse(query.as_bytes())).is_err(), "{address}");
        }
    }

    #[test]
    fn times_are_ages_or_dates() {
        for text in ["2026-01-31", "2026-01-31T08:00", "2026-01-31T08:00:00", "2026-01-31T08:00:00+01:00", "90s"] {
            assert!(time("since", text).is_ok(), "{text}");
        }
    }
}
