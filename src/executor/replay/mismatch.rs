//! Non-determinism: the same key and another request, or another order; told so that both sides can be read.

use crate::model::{Error, Payload, Status, TaskKind};

use super::entry::Request;

/// Inputs longer than this are shown in part.
const SHOWN: usize = 200;

/// Why it is an error, and the ways out.
const SO: &str = "in every run the handler must ask for the same in the same order, so its code has changed since, or it \
                  depends on something that is not recorded; the task goes on with a version of the function that fits \
                  its journal, or when it is resumed (stent_executor_resume)";

/// The error, if the two are not the same operation. Delays and time-outs may differ: they were fixed at first issue.
pub(super) fn between(
    key: &str,
    recorded: &Request,
    requested: &Request,
    same: &dyn Fn(&Payload, &Payload) -> bool,
) -> Option<Error> {
    let equal = |a: &Payload, b: &Payload| a == b || same(a, b);
    let inputs = match requested.kind {
        TaskKind::Activity => equal(&recorded.args, &requested.args) && equal(&recorded.kwargs, &requested.kwargs),
        TaskKind::Orchestrator | TaskKind::Signal | TaskKind::Step | TaskKind::Timer => true,
    };
    if recorded.kind == requested.kind && recorded.name == requested.name && inputs {
        return None;
    }
    let (was, is) = (describe(recorded, requested), describe(requested, recorded));
    let message = format!("operation {key} was recorded as {was} and is now asked for as {is}: {SO}");
    Some(told(message, key, &was, &is))
}

/// The error for something else in a recorded operation's place.
pub(super) fn out_of_place(key: &str, recorded: &Request, other: &str, requested: &Request) -> Error {
    let (was, is) = (describe(recorded, requested), describe(requested, recorded));
    let message = format!("operation {key} was recorded as {was}, and in its place {other} is asked for, {is}: {SO}");
    told(message, key, &was, &format!("{is} ({other})"))
}

/// The error for a recorded operation that was passed over.
pub(super) fn left_out(key: &str, recorded: &Request, instead: &str) -> Error {
    let was = describe(recorded, recorded);
    let message = format!("operation {key} was recorded as {was}, and in its place comes {instead}: {SO}");
    told(message, key, &was, instead)
}

fn told(message: String, key: &str, recorded: &str, requested: &str) -> Error {
    Error::new(Status::Nondeterminism, message).with("key", key).with("recorded", recorded).with("requested", requested)
}

fn describe(request: &Request, other: &Request) -> String {
    let name = &request.name;
    match request.kind {
        TaskKind::Activity => {
            let mut text = format!("activity \"{name}\" with args {}", excerpt(&request.args, &other.args));
            if [request, other].iter().any(|r| r.kind == TaskKind::Activity && r.kwargs != Payload::empty_object()) {
                text.push_str(" and kwargs ");
                text.push_str(&excerpt(&request.kwargs, &other.kwargs));
            }
            text
        }
        TaskKind::Signal => format!("wait for signal \"{name}\""),
        TaskKind::Timer => format!("timer \"{name}\""),
        TaskKind::Step => format!("step \"{name}\""),
        TaskKind::Orchestrator => format!("orchestrator \"{name}\""),
    }
}

/// The payload, or the part of it around the first difference from `other`.
fn excerpt(payload: &Payload, other: &Payload) -> String {
    let bytes = payload.as_bytes();
    let Ok(text) = std::str::from_utf8(bytes) else { return format!("<{} bytes that are not text>", bytes.len()) };
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let difference = bytes.iter().zip(other.as_bytes()).take_while(|(a, b)| a == b).count();
    // Some of what comes before it helps to find the place.
    let start = if difference < SHOWN / 2 { 0 } else { difference - SHOWN / 4 };
    let start = floor(text, start.min(text.len() - SHOWN));
    let end = floor(text, start + SHOWN);
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    format!("{before}{}{after} ({} bytes)", &text[start..end], text.len())
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
