//! The options that stand in the URL of a store.

use super::{Field, Kind, Object, optional};

const SSLMODES: Kind = Kind::Word(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);

/// What may follow the `?` of a PostgreSQL URL, or stand in a list of `name=value`: this library's own, then libpq's.
const POSTGRES_FIELDS: &[Field] = &[
    optional("min_size", Kind::Integer, "10", "Connections kept; no more than max_size, if only that is given."),
    optional(
        "max_size",
        Kind::Integer,
        "10",
        "Connections at most; with five or more a worker has two transactions at the server at once.",
    ),
    optional(
        "max_queries",
        Kind::Integer,
        "50000",
        "Statements of transactions on a connection before it is replaced.",
    ),
    optional(
        "max_inactive_connection_lifetime",
        Kind::Duration,
        "300.0",
        "How long an idle connection beyond min_size is kept.",
    ),
    optional("connect_timeout", Kind::Duration, "10.0", "How long a call waits for a connection before it fails."),
    optional(
        "call_timeout",
        Kind::Duration,
        "30.0",
        "How long a call waits for each answer before it takes the connection for dead.",
    ),
    optional("schema", Kind::String, "\"stent\"", "A schema of its own, created if it is missing; at most 63 bytes."),
    optional(
        "statement_cache",
        Kind::Integer,
        "256",
        "Prepared statements kept for each connection; 0 behind a pooler that works by transactions.",
    ),
    optional(
        "notify",
        Kind::Word(&["on", "off"]),
        "\"on\"",
        "Off: no LISTEN and NOTIFY, and others' work is found by polling; with statement_cache=0 it is off.",
    ),
    optional("application_name", Kind::String, "\"stent\"", "As the server shows it."),
    optional(
        "host",
        Kind::String,
        "null",
        "The server, or several with commas between them, or a unix socket's folder.",
    ),
    optional("hostaddr", Kind::String, "null", "Addresses in place of looking the hosts up."),
    optional("port", Kind::String, "\"5432\"", "One for all hosts, or one for each."),
    optional("dbname", Kind::String, "null", "The database; null: named as the user is."),
    optional("user", Kind::String, "null", "Null: named as the process's user is."),
    optional("password", Kind::String, "null", "Null: it is looked for in the passfile."),
    optional("passfile", Kind::String, "\"~/.pgpass\"", "Where passwords are looked for."),
    optional("service", Kind::String, "null", "The section of the service file that says what is not given here."),
    optional("servicefile", Kind::String, "\"~/.pg_service.conf\"", "Where services are looked for."),
    optional("fallback_application_name", Kind::String, "null", "An application_name for when there is none."),
    optional("options", Kind::String, "null", "Settings of the session: -c name=value."),
    optional(
        "target_session_attrs",
        Kind::Word(&["any", "read-write", "primary"]),
        "\"any\"",
        "Read-write, primary: of the servers named, the first that can be written to.",
    ),
    optional(
        "sslmode",
        SSLMODES,
        "\"prefer\"",
        "Allow: without TLS, and with it if that fails; prefer: the other way round; verify-full makes sure of the server.",
    ),
    optional(
        "sslrootcert",
        Kind::String,
        "\"~/.postgresql/root.crt\"",
        "A file with the certificates of those whose word counts; system: the public ones alone.",
    ),
    optional("sslcert", Kind::String, "\"~/.postgresql/postgresql.crt\"", "The client's own certificate."),
    optional("sslkey", Kind::String, "\"~/.postgresql/postgresql.key\"", "Its key, without a password."),
];
const POSTGRES_KEYS: [&str; POSTGRES_FIELDS.len()] = super::keys(POSTGRES_FIELDS);

/// Their names.
pub const POSTGRES_OPTIONS: &[&str] = &POSTGRES_KEYS;

/// By the kind of the URL.
pub(crate) const URLS: &[&Object] = &[&Object {
    name: "postgres",
    doc: "What may stand in the URL of a PostgreSQL database, or in a list of name=value.",
    fields: POSTGRES_FIELDS,
    keys: &POSTGRES_KEYS,
}];
