//! Functions for plain SQL, in the store's own schema: `dispatch`, `signal` and `cancel`, in the caller's own transaction. Their
//! texts are in `functions/`, and what they know of options is filled in from the tables that the library itself reads by.
//! They are made anew whenever the store is opened by the tables' owner and they are of another library or another schema.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::conn::Conn;
use super::error;
use super::pool::{SETTINGS, quoted};
use crate::codec::option_fields;
use crate::model::{DURATION_MAX, KeyReuse, NAME_MAX, PAYLOAD_MAX, Result, TAGS_MAX};

const TEXTS: [&str; 5] = [
    include_str!("functions/1_json.sql"),
    include_str!("functions/2_options.sql"),
    include_str!("functions/3_dispatch.sql"),
    include_str!("functions/4_requests.sql"),
    include_str!("functions/5_doors.sql"),
];

/// Makes them, if they are not there as they should be and this user may. `lock` keeps others from the same.
pub(super) async fn bring(conn: &mut Conn, schema: &str, lock: impl AsyncFnOnce(&mut Conn) -> Result<()>) -> Result<()> {
    let text = text(schema);
    let mark = mark(&text);
    if !is_due(conn, &mark).await? {
        return Ok(());
    }
    lock(conn).await?;
    if !is_due(conn, &mark).await? {
        return Ok(());
    }
    // Temporary tables come last, so that none stands for one of the store's.
    let place = format!("SET LOCAL search_path TO {}, pg_temp; ", quoted(schema));
    let said = format!("COMMENT ON FUNCTION dispatch(text, text, text) IS '{mark}'");
    let made = conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("{place}{text}{said}")))).await;
    made.map(drop).map_err(error::map("make the functions for SQL"))
}

/// Are they others, and may this user make them?
async fn is_due(conn: &mut Conn, mark: &str) -> Result<bool> {
    let row = sqlx::query(include_str!("sql/functions_look.sql")).bind(mark).fetch_one(conn).await;
    row.map(|row| row.get("due")).map_err(error::map("look for the functions for SQL"))
}

fn mark(text: &str) -> String {
    let mut mark = "Starts an execution of a function, in this transaction. Made from text ".to_owned();
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        let _infallible = write!(mark, "{byte:02x}");
    }
    mark
}

/// All of them, for this schema.
fn text(schema: &str) -> String {
    let list = |words: Vec<&str>| {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        format!("ARRAY[{}]::text[]", quoted.join(", "))
    };
    let (dispatch, signal, policy) =
        (option_fields("dispatch"), option_fields("signal"), option_fields("retry_policy"));
    let own = [("search_path", format!("{}, pg_temp", quoted(schema)))];
    let fixed = [("standard_conforming_strings", "on"), ("extra_float_digits", "1")];
    let plain = SETTINGS.iter().filter(|(name, _)| *name != "client_min_messages").chain(&fixed);
    let settings = own.into_iter().chain(plain.map(|(name, value)| (*name, (*value).to_owned())));
    let settings: Vec<String> = settings.map(|(name, value)| format!("SET {name} = {value}")).collect();
    let known = [
        ("schema", quoted(schema)),
        ("settings", settings.join(" ")),
        ("name_max", NAME_MAX.to_string()),
        ("payload_max", PAYLOAD_MAX.to_string()),
        ("tags_max", TAGS_MAX.to_string()),
        ("duration_max", DURATION_MAX.to_string()),
        ("key_reuse", list(KeyReuse::WORDS.to_vec())),
        ("dispatch_names", list(dispatch.iter().map(|(name, ..)| *name).collect())),
        ("dispatch_kinds", list(dispatch.iter().map(|(_, kind, _)| kind.as_str()).collect())),
        ("signal_names", list(signal.iter().map(|(name, ..)| *name).collect())),
        ("retry_policy_names", list(policy.iter().map(|(name, ..)| *name).collect())),
        ("retry_policy_kinds", list(policy.iter().map(|(_, kind, _)| kind.as_str()).collect())),
        ("retry_policy_defaults", list(policy.iter().map(|(.., default)| *default).collect())),
    ];
    known.iter().fold(TEXTS.concat(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}
