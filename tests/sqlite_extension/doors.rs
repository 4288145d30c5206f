//! The same goes in by both doors, the C API and SQL, with the same answers, the same errors, and the same rows.

use crate::api::Api;
use crate::host::{Host, Store};

enum Step {
    Dispatch([Option<&'static str>; 3]),
    Signal([Option<&'static str>; 4]),
    Cancel([Option<&'static str>; 2]),
}

use Step::{Cancel, Dispatch, Signal};

const NOBODY: &str = "018f3c1e-7b5a-7c3d-9e4f-0123456789ab";

/// `$n` in them is the id that step `n` has answered.
const STEPS: &[Step] = &[
    Dispatch([Some("send"), None, None]),
    Dispatch([
        Some("send"),
        Some("[1, \"two\"]"),
        Some("{\"kwargs\": {\"a\": {\"$base64\": \"AAE=\"}}, \"priority\": 7}"),
    ]),
    Dispatch([
        Some("send"),
        Some("[]"),
        Some("{\"queue\": \"mail\", \"tags\": [\"x\", \"y\"], \"on_cancel\": \"undo\"}"),
    ]),
    Dispatch([Some("send"), None, Some("{\"delay\": \"1h\", \"max_duration\": 7200, \"timeout\": \"5m\"}")]),
    Dispatch([Some("send"), None, Some("{\"retry_policy\": {\"max_attempts\": 3}}")]),
    Dispatch([
        Some("send"),
        None,
        Some("{\"traceparent\": \"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}"),
    ]),
    // The key's owner answers; other arguments are refused.
    Dispatch([Some("pay"), Some("[1]"), Some("{\"idempotency_key\": \"k\"}")]),
    Dispatch([Some("pay"), Some("[ 1 ]"), Some("{\"idempotency_key\": \"k\"}")]),
    Dispatch([Some("pay"), Some("[2]"), Some("{\"idempotency_key\": \"k\"}")]),
    Dispatch([Some("other"), Some("[2]"), Some("{\"idempotency_key\": \"k\"}")]),
    // Whoever goes on has the key; what has started nothing leaves its idempotency key free.
    Dispatch([Some("once"), Some("[1]"), Some("{\"unique_key\": \"u\"}")]),
    Dispatch([Some("once"), Some("[2]"), Some("{\"unique_key\": \"u\", \"idempotency_key\": \"unused\"}")]),
    Dispatch([Some("once"), None, Some("{\"unique_key\": \"u\", \"unique_existing\": \"refuse\"}")]),
    Dispatch([Some("once"), None, Some("{\"unique_key\": \"u\", \"unique_for\": \"1h\"}")]),
    Dispatch([Some("once"), None, Some("{\"unique_key\": \"u\", \"unique_for\": 0}")]),
    Dispatch([Some("once"), None, Some("{\"unique_key\": \"u\", \"unique_while\": \"pending\"}")]),
    Dispatch([Some("once"), None, Some("{\"unique_for\": 1}")]),
    // The last arguments win, and what belongs to its arguments is refused.
    Dispatch([Some("later"), Some("[1]"), Some("{\"unique_key\": \"u\", \"debounce\": \"1h\"}")]),
    Dispatch([Some("later"), Some("[2]"), Some("{\"unique_key\": \"u\", \"debounce\": \"1h\"}")]),
    Dispatch([Some("later"), Some("[3]"), Some("{\"unique_key\": \"u\", \"debounce\": \"1h\", \"debounce_max\": 0}")]),
    Dispatch([Some("later"), None, Some("{\"unique_key\": \"u\", \"debounce\": 1, \"cached\": true}")]),
    Dispatch([Some("later"), None, Some("{\"debounce\": 1}")]),
    // An id of one's own, twice.
    Dispatch([Some("own"), None, Some("{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\"}")]),
    Dispatch([Some("own"), None, Some("{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\"}")]),
    Dispatch([
        Some("own"),
        None,
        Some("{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789aa\", \"idempotency_key\": \"left\"}"),
    ]),
    Dispatch([Some("own"), None, Some("{\"idempotency_key\": \"left\"}")]),
    // What is wrong with names, arguments and options.
    Dispatch([None, None, None]),
    Dispatch([Some(""), None, None]),
    Dispatch([Some("a b\n"), None, None]),
    Dispatch([Some("send"), Some("{}"), None]),
    Dispatch([Some("send"), Some("[1"), None]),
    Dispatch([Some("send"), Some("[1] 2"), None]),
    Dispatch([Some("send"), Some("[{\"$base64\": \"?\"}]"), None]),
    Dispatch([Some("send"), None, Some("{\"unknown\": 1}")]),
    Dispatch([Some("send"), None, Some("[]")]),
    Dispatch([Some("send"), None, Some("{\"id\": \"order 7\"}")]),
    Dispatch([Some("send"), None, Some("{\"delay\": -1}")]),
    Dispatch([Some("send"), None, Some("{\"tags\": [1]}")]),
    Dispatch([Some("send"), None, Some("{\"priority\": \"high\"}")]),
    Dispatch([Some("send"), None, Some("{\"idempotency_key\": \"\"}")]),
    Signal([Some("$0"), Some("go"), Some("{\"a\": 1.50}"), None]),
    Signal([Some("$0"), Some("go"), None, Some("{\"id\": \"once\"}")]),
    Signal([Some("$0"), Some("go"), Some("2"), Some("{\"id\": \"once\"}")]),
    Signal([Some("$0"), Some("go"), Some("nothing"), None]),
    Signal([Some("$0"), Some(""), None, None]),
    Signal([Some("$0"), None, None, None]),
    Signal([None, Some("go"), None, None]),
    Signal([Some("order 7"), Some("go"), None, None]),
    Signal([Some(NOBODY), Some("go"), None, None]),
    Signal([Some("$0"), Some("go"), None, Some("{\"name\": 1}")]),
    Cancel([Some("$1"), Some("too late")]),
    Cancel([Some("$1"), None]),
    Cancel([Some("$2"), None]),
    Cancel([Some(NOBODY), None]),
    Cancel([Some("order 7"), None]),
    Cancel([None, None]),
    Signal([Some("$1"), Some("go"), None, None]),
    // The key of one that was cancelled is free.
    Cancel([Some("$6"), Some("it's off")]),
    Dispatch([Some("pay"), Some("[1]"), Some("{\"idempotency_key\": \"k\"}")]),
    Dispatch([Some("pay"), Some("[1]"), Some("{\"idempotency_key\": \"k\", \"idempotency_reuse\": \"never\"}")]),
];

type Answer = Result<String, String>;

/// All ids that were answered, so that those of both doors are written alike.
fn run(mut step: impl FnMut(&Step, &dyn Fn(&str) -> String) -> Answer) -> Vec<Answer> {
    let mut ids: Vec<String> = Vec::new();
    let mut answers = Vec::new();
    for one in STEPS {
        let given = |text: &str| match text.strip_prefix('$').and_then(|place| place.parse::<usize>().ok()) {
            Some(place) => ids[place].clone(),
            None => text.to_owned(),
        };
        let answer = step(one, &given);
        ids.push(answer.clone().unwrap_or_default());
        let first = |id: &String| ids.iter().position(|known| known == id).unwrap();
        let named = |text: &str| {
            let all = ids.iter().filter(|id| id.len() == NOBODY.len());
            all.fold(text.to_owned(), |text, id| text.replace(id.as_str(), &format!("${}", first(id))))
        };
        answers.push(answer.map(|text| named(&text)).map_err(|text| named(&text)));
    }
    answers
}

fn literal(given: Option<String>) -> String {
    given.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// What is in the store, but for ids and times; a compensation has the id of what it undoes among its arguments.
const ROWS: &str = "\
    SELECT root_function, state, priority, expiry_at IS NULL, on_cancel, cancel_reason, traceparent, queue, tags, \
        CASE root_function WHEN 'undo' THEN json_remove(CAST(args AS TEXT), '$[0].execution_id') ELSE CAST(args AS TEXT) END, \
        CAST(kwargs AS TEXT) FROM executions ORDER BY created_at;
    SELECT step_name, kind, state, lane IS NULL, priority, due_at IS NULL, timeout, queue, tags, retry_policy, \
        idempotency_key, CAST(CASE step_name WHEN 'undo' THEN NULL ELSE args END AS TEXT), CAST(kwargs AS TEXT), error \
        FROM tasks ORDER BY created_at;
    SELECT name, id, CAST(payload AS TEXT), consumed FROM signals ORDER BY sequence;
    SELECT key, owner IS NULL, hex(args_hash) FROM idempotency ORDER BY key;
    SELECT key, expires_at - dispatched_at, window_ends_at - dispatched_at FROM unique_keys ORDER BY key;
    SELECT key FROM unique_earlier ORDER BY key;
    SELECT queue, function, tags FROM routes ORDER BY id";

#[test]
fn both_doors_answer_and_write_alike() {
    let (by_c, by_sql) = (Store::new(), Store::new());
    let api = Api::open(&by_c.path);
    let said_by_c = run(|step, given| {
        let given = |texts: &[Option<&str>]| texts.iter().map(|text| text.map(given)).collect::<Vec<_>>();
        match step {
            Dispatch(all) => {
                let all = given(all);
                api.dispatch(all[0].as_deref(), all[1].as_deref(), all[2].as_deref())
            }
            Signal(all) => {
                let all = given(all);
                api.signal([0, 1, 2, 3].map(|place| all[place].as_deref())).map(|()| "NULL".to_owned())
            }
            Cancel(all) => {
                let all = given(all);
                api.cancel(all[0].as_deref(), all[1].as_deref()).map(|()| "NULL".to_owned())
            }
        }
    });
    let host = Host::open(&by_sql.path);
    let said_by_sql = run(|step, given| {
        let (function, all): (&str, &[Option<&str>]) = match step {
            Dispatch(all) => ("dispatch", all),
            Signal(all) => ("signal", all),
            Cancel(all) => ("cancel", all),
        };
        let all: Vec<String> = all.iter().map(|text| literal(text.map(given))).collect();
        let rows = host.try_rows(&format!("SELECT stent_{function}({})", all.join(", ")));
        rows.map(|rows| rows[0][0].clone()).map_err(|(_, message)| message)
    });
    for (place, (c, sql)) in said_by_c.iter().zip(&said_by_sql).enumerate() {
        assert_eq!(c, sql, "step {place}");
    }
    let refused = said_by_sql.iter().filter(|answer| answer.is_err()).count();
    assert_eq!((STEPS.len(), refused), (60, 33), "{said_by_sql:#?}");
    drop(api);
    let rows = host.rows(ROWS);
    assert_eq!(Host::plain(&by_c.path).rows(ROWS), rows);
    assert!(rows.len() > 30, "{rows:?}");
}
