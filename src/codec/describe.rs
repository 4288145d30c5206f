//! The text of `stent_describe`, made from the same tables that drive the reading of options.

use std::sync::LazyLock;

use serde::Serialize;

use super::tables::engine::OPERATIONS as ENGINE;
use super::tables::engine_records::ENGINE_RECORDS;
use super::tables::library::{EVENTS, FEATURES, METRICS, Metric, TYPES, Word, status_doc};
use super::tables::objects::OBJECTS;
use super::tables::operations::{OPERATIONS, Operation};
use super::tables::records::{FAILURE, RECORDS, Record};
use super::tables::submissions::{SUBMISSIONS, Submission};
use super::tables::urls::URLS;
use super::tables::{Field, Object};
use crate::model::{LIMITS, Limit, Status};

/// Everything that bindings and tools need to know, as a JSON object: `types`, `statuses`, `operations` (of backends),
/// `engine_operations`, `submissions` (what an executor does without blocking), `options`, `urls` (the options that stand in
/// a store's URL), `limits`, `features` (of this build), `records`, `failure`, `events`, `metrics`. Always the same text.
pub fn describe() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| super::to_json(&description()));
    &TEXT
}

/// The options of an object, in their order: name, type and default.
pub fn option_fields(object: &str) -> Vec<(&'static str, String, &'static str)> {
    let fields = OBJECTS.iter().filter(|known| known.name == object).flat_map(|known| known.fields);
    fields.map(|field| (field.name, field.kind.name(), field.default.unwrap_or_default())).collect()
}

#[derive(Serialize)]
pub(super) struct Description {
    types: &'static [Word],
    statuses: Vec<StatusView>,
    operations: Vec<OperationView>,
    /// What the executor asks of a store beyond the protocol.
    engine_operations: Vec<OperationView>,
    submissions: Vec<OperationView>,
    options: Vec<FieldsView>,
    urls: Vec<FieldsView>,
    limits: &'static [Limit],
    features: &'static [Word],
    records: Vec<FieldsView>,
    failure: FieldsView,
    events: &'static [Word],
    metrics: &'static [Metric],
}

#[derive(Serialize)]
struct StatusView {
    name: &'static str,
    /// Its name in the header.
    constant: String,
    code: i32,
    doc: &'static str,
}

#[derive(Serialize)]
struct OperationView {
    name: &'static str,
    doc: &'static str,
    request: &'static [Field],
    response: ResponseView,
}

#[derive(Serialize)]
struct ResponseView {
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
}

#[derive(Serialize)]
struct FieldsView {
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
}

pub(super) fn description() -> Description {
    Description {
        types: TYPES,
        statuses: Status::ALL.into_iter().map(status_view).collect(),
        operations: OPERATIONS.iter().map(operation_view).collect(),
        engine_operations: ENGINE.iter().map(operation_view).collect(),
        submissions: SUBMISSIONS.iter().map(|submission| submission_view(submission)).collect(),
        options: OBJECTS.iter().map(|object| object_view(object)).collect(),
        urls: URLS.iter().map(|object| object_view(object)).collect(),
        limits: LIMITS,
        features: FEATURES,
        records: RECORDS.iter().chain(ENGINE_RECORDS).map(record_view).collect(),
        failure: record_view(&FAILURE),
        events: EVENTS,
        metrics: METRICS,
    }
}

fn status_view(status: Status) -> StatusView {
    let prefix = if status.code() < 0 { "STENT_E_" } else { "STENT_" };
    let name = status.name();
    StatusView { name, constant: format!("{prefix}{name}"), code: status.code(), doc: status_doc(status) }
}

fn operation_view(operation: &Operation) -> OperationView {
    let kind = operation.response.map_or_else(|| "null".to_owned(), |kind| kind.name());
    OperationView {
        name: operation.name,
        doc: operation.doc,
        request: operation.request,
        response: ResponseView { kind, nullable: operation.nullable },
    }
}

fn submission_view(submission: &Submission) -> OperationView {
    let Object { name, doc, fields, .. } = submission.request;
    let kind = submission.response.map_or_else(|| "null".to_owned(), |kind| kind.name());
    OperationView {
        name,
        doc,
        request: fields,
        response: ResponseView { kind, nullable: submission.response.is_none() },
    }
}

fn object_view(object: &Object) -> FieldsView {
    FieldsView { name: object.name, doc: object.doc, fields: object.fields }
}

fn record_view(record: &Record) -> FieldsView {
    FieldsView { name: record.name, doc: record.doc, fields: record.fields }
}
