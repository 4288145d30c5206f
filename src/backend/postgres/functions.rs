//! Functions for plain SQL, in the store's own schema: `dispatch`, `signal`, `cancel` and `record_step`, in the caller's own transaction. Their
//! texts are in `functions/`, and what they know of options is filled in from the tables that the library itself reads by.
//! They are made anew whenever the store is opened by one who may act for the tables' owner, and they are of another library or
//! another schema. What callers use keeps its parameters, with their names and types: grants are to these.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::conn::Conn;
use super::error;
use super::pool::{SETTINGS, quoted};
use crate::codec::option_fields;
use crate::model::{
    AGEING_MAX, AGEING_MIN, DURATION_MAX, ERROR_TEXT_MAX, Existing, KeyReuse, KeyWhile, NAME_MAX, PAYLOAD_MAX, Result,
    TAGS_MAX, UNIQUE_KEPT, WEIGHT_MAX, WEIGHT_MIN,
};

const TEXTS: [&str; 7] = [
    include_str!("functions/1_json.sql"),
    include_str!("functions/2_options.sql"),
    include_str!("functions/3_ids_and_routes.sql"),
    include_str!("functions/4_dispatch.sql"),
    include_str!("functions/5_requests.sql"),
    include_str!("functions/6_steps.sql"),
    include_str!("functions/7_doors.sql"),
];

/// Makes them, if they are not there as they should be and this user may. `lock` keeps others from the same.
pub(super) async fn bring(
    conn: &mut Conn,
    schema: &str,
    lock: impl AsyncFnOnce(&mut Conn) -> Result<()>,
) -> Result<()> {
    let text = text(schema);
    let mark = mark(&text);
    if as_whom(conn, &mark).await?.is_none() {
        return Ok(());
    }
    lock(conn).await?;
    let Some(owner) = as_whom(conn, &mark).await? else { return Ok(()) };
    // They work with the rights of whom they belong to: never with those of whoever has opened the store. Temporary tables come
    // last, so that none stands for one of the store's.
    let before = format!("SET LOCAL ROLE {}; SET LOCAL search_path TO {}, pg_temp; ", quoted(&owner), quoted(schema));
    let after = format!("COMMENT ON FUNCTION dispatch(text, text, text) IS '{mark}'; RESET ROLE");
    let made = conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("{before}{text}{after}")))).await;
    made.map(drop).map_err(error::map("make the functions for SQL"))
}

/// The tables' owner, if they are others and this user may make them in the owner's name.
async fn as_whom(conn: &mut Conn, mark: &str) -> Result<Option<String>> {
    let row = sqlx::query(include_str!("sql/functions_look.sql")).bind(mark).fetch_one(conn).await;
    let row = row.map_err(error::map("look for the functions for SQL"))?;
    Ok(row.get::<bool, _>("due").then(|| row.get("owner")))
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
        ("error_text_max", ERROR_TEXT_MAX.to_string()),
        ("execution_cancel", include_str!("sql/execution_cancel.sql").trim_end().to_owned()),
        ("tasks_stop", include_str!("sql/tasks_stop.sql").trim_end().to_owned()),
        ("unique_find", include_str!("sql/unique_find.sql").trim_end().to_owned()),
        ("unique_forget", include_str!("sql/unique_forget.sql").trim_end().to_owned()),
        ("unique_set_aside", include_str!("sql/unique_set_aside.sql").trim_end().to_owned()),
        ("key_reuse", list(KeyReuse::WORDS.to_vec())),
        ("ageing_min", AGEING_MIN.as_micros().to_string()),
        ("ageing_max", AGEING_MAX.as_micros().to_string()),
        ("weight_min", WEIGHT_MIN.to_string()),
        ("weight_max", WEIGHT_MAX.to_string()),
        ("unique_kept", UNIQUE_KEPT.as_micros().to_string()),
        ("key_while", list(KeyWhile::WORDS.to_vec())),
        ("existing", list(Existing::WORDS.to_vec())),
        ("dispatch_names", list(dispatch.iter().map(|(name, ..)| *name).collect())),
        ("dispatch_kinds", list(dispatch.iter().map(|(_, kind, _)| kind.as_str()).collect())),
        ("signal_names", list(signal.iter().map(|(name, ..)| *name).collect())),
        ("retry_policy_names", list(policy.iter().map(|(name, ..)| *name).collect())),
        ("retry_policy_kinds", list(policy.iter().map(|(_, kind, _)| kind.as_str()).collect())),
        ("retry_policy_defaults", list(policy.iter().map(|(.., default)| *default).collect())),
    ];
    known.iter().fold(TEXTS.concat(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_in_and_any_database_can_hold_it() {
        let text = text("a \"b\"");
        assert!(text.is_ascii() && text.contains("\"a \"\"b\"\"\", pg_temp"), "a database may be of any encoding");
        let left = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
        let left: Vec<&str> =
            left.filter(|inside| inside.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))).collect();
        assert!(left.iter().all(|inside| inside.is_empty()), "nothing is known of {left:?}");
        assert_ne!(mark(&text), mark(&super::text("other")));
    }
}
