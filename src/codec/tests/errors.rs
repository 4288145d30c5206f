//! Bad input is told: what, where, and what would be right.

use crate::codec::{
    args_from_text, args_list_from_text, duration_from_text, failure_from_text, from_json, id_from_text,
    kwargs_from_text, number_from_text, operations, options, to_json, value_from_text,
};
use crate::model::{Detail, Error, Number, PAYLOAD_MAX, Payload, Status, Task};

use super::samples;

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.status(), Status::Invalid);
    error.message().to_owned()
}

fn detail(error: &Error, key: &str) -> String {
    match error.details().get(key) {
        Some(Detail::Text(text)) => text.clone(),
        Some(Detail::Integer(number)) => number.to_string(),
        Some(Detail::List(list)) => list.join(" "),
        None => panic!("{key} is not in {error:?}"),
    }
}

#[test]
fn what_is_not_json_is_shown_with_its_place() {
    assert_eq!(
        message(args_from_text(Some("[1,\n \"ü\" 2]"))),
        "args: this is not JSON: expected `,` or `]` (line 2, column 6, near `[1,  \"ü\" 2]`)"
    );
    assert_eq!(message(value_from_text("result", " ")), "result: the text is empty; it must be JSON");
    assert!(message(value_from_text("result", "{\"a\": nul")).starts_with("result: this is not JSON: "));
    assert!(message(value_from_text("result", "1 2")).contains("trailing characters (line 1, column 3"));
}

#[test]
fn what_only_a_dispatch_may_say_is_refused_in_a_call_with_the_reason() {
    let error = options::call(Some("{\"idempotency_key\": \"k\", \"idempotency_reuse\": \"never\"}")).unwrap_err();
    assert!(
        error.message().contains("; it is an option of dispatch; a call that failed leaves its key free"),
        "{error}"
    );
    assert_eq!((detail(&error, "key"), detail(&error, "object")), ("idempotency_reuse".into(), "call".into()));
    assert!(options::dispatch(Some("{\"idempotency_reuse\": \"never\"}")).is_ok());
}

#[test]
fn an_unknown_option_is_named_beside_the_known_ones() {
    let error = options::worker(Some("{\"queues\": [],\n \"max_concurency\": 3}")).unwrap_err();
    assert!(
        error.message().starts_with(
            "worker options: there is no \"max_concurency\" (line 2, column 2); did you mean \
             \"max_concurrency\"? Known are worker_id, queues, queue_rates, tags, max_concurrency, "
        ),
        "{error}"
    );
    assert_eq!(detail(&error, "key"), "max_concurency");
    assert_eq!(detail(&error, "nearest"), "max_concurrency");
    assert_eq!(detail(&error, "object"), "worker");
    assert_eq!(detail(&error, "line"), "2");
    assert!(detail(&error, "known").starts_with("worker_id queues queue_rates tags max_concurrency"));

    let error = options::call(Some("{\"retry_policy\": {\"attempts\": 3}}")).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("call options: there is no \"attempts\" in retry_policy (line 1, column 19); known"),
        "{error}"
    );
    assert_eq!((detail(&error, "key"), detail(&error, "path")), ("attempts".into(), "retry_policy".into()));
    assert_eq!(
        message(options::none(Some("{\"a\":1}"))),
        "options: there is no \"a\" (line 1, column 2); it takes none"
    );
}

#[test]
fn an_option_of_another_type_says_what_it_takes() {
    for (text, expected) in [
        ("{\"priority\": \"high\"}", "priority is the string \"high\" (line 1, column 14); it must be an integer"),
        ("{\"priority\": 1.5}", "priority is the number 1.5 (line 1, column 14); it must be an integer"),
        ("{\"cached\": 1}", "cached is the number 1 (line 1, column 12); it must be true or false"),
        ("{\"tags\": \"eu\"}", "tags is the string \"eu\" (line 1, column 10); it must be an array"),
        ("{\"tags\": [\"eu\", 5]}", "tags[1] is the number 5 (line 1, column 17); it must be a string"),
        ("{\"delay\": \"soon\"}", "delay is wrong (line 1, column 11): 'soon' is not a duration"),
        ("{\"delay\": -1}", "delay is wrong (line 1, column 11): -1 is not a duration"),
        ("{\"delay\": true}", "delay is true (line 1, column 11); it must be a duration: a number of seconds"),
        ("{\"retry_policy\": [3]}", "retry_policy is an array (line 1, column 18); it must be an object"),
        ("{\"id\": \"1\"}", "id is wrong (line 1, column 8): UUID parsing failed"),
        ("{\"kwargs\": [1]}", "kwargs: it is an array (line 1, column 12); it must be an object of named arguments"),
        ("[]", "it is an array (line 1, column 1); it must be an object"),
        ("{\"queue\": \"a\", \"queue\": \"b\"}", "queue is given twice (line 1, column 16)"),
        ("{\"queue\": \"\"}", "queue is empty; give it a name"),
        ("{\"retry_policy\": {\"jitter\": 2}}", "retry_policy.jitter is 2; it must be between 0 and 1"),
        ("{\"expiry\": 1, \"max_duration\": 1}", "expiry and max_duration are both given"),
        ("{\"queue\": \"\\ud800\"}", "queue is a string with half of a surrogate pair (line 1, column 11)"),
    ] {
        let error = message(options::dispatch(Some(text)));
        assert!(error.starts_with(&format!("dispatch options: {expected}")), "{text}: {error}");
    }
    let to = u32::MAX;
    for (text, expected) in [
        (
            "{\"max_concurrent\": -1}",
            format!("max_concurrent is the number -1 (line 1, column 20); it must be an integer from 1 to {to}"),
        ),
        (
            "{\"max_concurrent\": 0}",
            "max_concurrent is 0; it must be at least 1 (leave it out for no limit)".to_owned(),
        ),
        (
            "{\"rate\": {\"limit\": -1}}",
            format!("rate.limit is the number -1 (line 1, column 20); it must be an integer from 1 to {to}"),
        ),
        ("{\"rate\": {\"limit\": 0}}", "rate.limit is 0; it must be at least 1".to_owned()),
        (
            "{\"retry_policy\": {\"max_attempts\": 5000000000}}",
            format!(
                "retry_policy.max_attempts is the number 5000000000 (line 1, column 35); it must be an integer from 1 to {to}"
            ),
        ),
        (
            "{\"rate_per_key\": {\"burst\": 1.5}}",
            format!("rate_per_key.burst is the number 1.5 (line 1, column 28); it must be an integer from 1 to {to}"),
        ),
    ] {
        let error = message(options::function(Some(text)));
        assert!(error.starts_with(&format!("function options: {expected}")), "{text}: {error}");
    }
    for (size, is) in [
        ("-1", "the number -1 (line 1, column 10); it must be an integer"),
        ("0", "0; it must be"),
        ("10001", "the number 10001 (line 1, column 10); it must be an integer"),
    ] {
        let error = message(options::batch(Some(&format!("{{\"size\": {size}}}"))));
        assert!(error.starts_with(&format!("batch options: size is {is} from 1 to 10000")), "{error}");
    }
    let word = message(options::execution_filter(Some("{\"state\": \"done\"}")));
    assert!(word.contains("state is \"done\" (line 1, column 11); it must be one of pending, running, "), "{word}");
}

#[test]
fn null_is_as_if_left_out_but_for_the_cleanup_interval() {
    assert_eq!(options::dispatch(Some("{\"delay\": null}")).unwrap(), options::dispatch(None).unwrap());
    assert_eq!(options::worker(Some("{\"cleanup_interval\": null}")).unwrap().cleanup_interval, None);
    assert!(options::worker(Some("{}")).unwrap().cleanup_interval.is_some());
    assert_eq!(options::worker(Some("  ")).unwrap(), options::worker(None).unwrap());
}

#[test]
fn one_of_many_dispatches_is_named_by_its_place() {
    let good = "{\"function\": \"f\"}";
    let all = |bad: &str| message(options::dispatch_requests(&format!("[{good}, {bad}]")));
    assert!(all("{}").starts_with("dispatch_many request 1: function is missing"));
    assert!(
        all("{\"function\": \"f\", \"args\": 5}")
            .starts_with("dispatch_many request 1: args: it is the number 5 (line 1,")
    );
    assert!(
        all("{\"function\": \"f\", \"options\": {\"dealy\": 1}}")
            .starts_with("dispatch_many request 1: options: there is no \"dealy\"")
    );
    assert!(message(options::dispatch_requests("{}")).contains("it is an object"));
    let made = options::dispatch_requests(&format!("[{good}]")).unwrap();
    assert_eq!((made[0].function.as_str(), &made[0].args), ("f", &Payload::empty_array()));
}

#[test]
fn an_operation_that_does_not_exist_is_told_beside_those_that_do() {
    let error = operations::request("get_exceution", None).unwrap_err();
    assert!(
        error.message().starts_with("there is no operation \"get_exceution\"; the operations are init_db, close, ")
    );
    assert!(detail(&error, "known").contains("get_execution "));
}

#[test]
fn a_request_names_the_operation_and_the_place_of_its_fault() {
    let task = to_json(&samples::task());
    let wrong = format!("{{\"tasks\": [{task},\n {}]}}", task.replace("\"running\"", "\"runing\""));
    let error = operations::request("create_tasks", Some(&wrong)).unwrap_err();
    assert!(error.message().starts_with("create_tasks: tasks[1].state is \"runing\" (line 2, column "), "{error}");
    assert_eq!(detail(&error, "operation"), "create_tasks");
    assert_eq!(detail(&error, "path"), "tasks[1].state");
    assert_eq!(message(operations::request("get_task", None)), "get_task: task_id is missing");
    assert!(message(operations::request("init_db", Some("{\"x\":1}"))).contains("there is no \"x\""));
    assert!(message(operations::request("init_db", Some("[]"))).contains("it must be an object"));
    let lease = operations::request("renew_task_lease", Some("{\"lease_duration\": -3}"));
    assert!(message(lease).contains("lease_duration is wrong (line 1, column 20): -3 is not a duration"));
}

#[test]
fn a_record_is_an_object_and_never_a_list_of_its_fields() {
    assert!(message(from_json::<Task>("task", "[]")).contains("it is an array"));
    let extra = to_json(&samples::task()).replacen('{', "{\"extra\": 1, ", 1);
    let error = from_json::<Task>("task", &extra).unwrap_err();
    assert_eq!(detail(&error, "key"), "extra");
    assert!(detail(&error, "known").starts_with("id execution_id step_name"));
}

#[test]
fn args_are_arrays_and_kwargs_objects() {
    assert_eq!(args_from_text(None).unwrap(), Payload::empty_array());
    assert_eq!(kwargs_from_text(None).unwrap(), Payload::empty_object());
    assert_eq!(args_from_text(Some(" [1, 2.50] ")).unwrap(), Payload::from("[1, 2.50]"));
    assert!(
        message(args_from_text(Some("{}")))
            .starts_with("args: it is an object (line 1, column 1); it must be an array")
    );
    assert!(message(kwargs_from_text(Some("\"x\""))).starts_with("kwargs: it is the string \"x\""));
    assert!(
        message(kwargs_from_text(Some("{\"$base64\": \"AA==\"}")))
            .contains("it is the bytes of \"$base64\"; it must be an object")
    );
    let list = args_list_from_text("[[1], []]").unwrap();
    assert_eq!(list, [Payload::from("[1]"), Payload::empty_array()]);
    assert!(
        message(args_list_from_text("[[1], 2]")).starts_with("args_list[1]: it is the number 2 (line 1, column 7)")
    );
    assert!(message(args_list_from_text("7")).starts_with("args_list: it is the number 7"));
}

#[test]
fn values_keep_every_digit_and_may_be_bytes() {
    assert_eq!(value_from_text("result", " 1.10 ").unwrap(), Payload::from("1.10"));
    assert_eq!(value_from_text("result", "{\"$base64\": \"/wA=\"}").unwrap(), Payload::from(vec![0xff, 0]));
    assert!(
        message(value_from_text("result", "{\"$base64\": \"!\"}")).contains("the value of \"$base64\" is not base64")
    );
    // At every depth: who reads it would be the one to stumble.
    let deep = "{\"u\": {\"$base64\": \"%%%\"}}";
    assert!(message(value_from_text("payload", deep)).starts_with("payload: the value of \"$base64\" is not base64"));
    assert!(message(args_from_text(Some(&format!("[{deep}]")))).contains("is not base64"));
    assert!(message(kwargs_from_text(Some(deep))).contains("is not base64"));
    let failure = format!("{{\"type\": \"T\", \"details\": {deep}}}");
    assert!(message(failure_from_text(&failure)).contains("is not base64"));
    let request = format!("{{\"key\": \"k\", \"value\": {deep}, \"ttl\": null}}");
    assert!(message(operations::request("set_cached_result", Some(&request))).contains("is not base64"));
}

#[test]
fn a_failure_that_was_cut_in_the_middle_of_a_character_is_told() {
    let failure =
        failure_from_text(r#"{"type": "Error", "message": "cut: \ud83d", "details": {"a": "\udc00"}}"#).unwrap();
    assert_eq!(failure.message, "cut: \u{fffd}");
    assert_eq!(failure_from_text(r#""\ud83d""#).unwrap().message, "\u{fffd}");
}

#[test]
fn a_payload_that_is_too_long_is_refused() {
    let text = format!("\"{}\"", "x".repeat(PAYLOAD_MAX - 2));
    assert_eq!(value_from_text("result", &text).unwrap().len(), PAYLOAD_MAX);
    let text = format!("\"{}\"", "x".repeat(PAYLOAD_MAX - 1));
    assert!(message(value_from_text("result", &text)).contains("67108865 bytes long; at most 67108864 are allowed"));
}

#[test]
fn failures_are_read_strictly_and_a_string_is_a_message() {
    assert_eq!(failure_from_text("\"no card\"").unwrap(), crate::model::Failure::new("Error", "no card"));
    let failure = failure_from_text("{\"type\": \"Timeout\", \"details\": {\"a\": 1.0}}").unwrap();
    assert_eq!((failure.kind.as_str(), failure.retryable), ("Timeout", true));
    assert_eq!(failure.details, Some(Payload::from("{\"a\": 1.0}")));
    assert_eq!(message(failure_from_text("{}")), "failure: type is missing (line 1, column 1)");
    assert!(message(failure_from_text("{\"type\": \"E\", \"message\": 5}")).contains("message is the number 5"));
    assert!(message(failure_from_text("{\"type\": \"E\", \"msg\": \"x\"}")).contains("there is no \"msg\""));
    assert!(message(failure_from_text("[1]")).contains("it is an array"));
}

#[test]
fn numbers_stay_exact_or_are_refused() {
    assert_eq!(number_from_text("-9007199254740993").unwrap(), Number::Integer(-9_007_199_254_740_993));
    assert_eq!(number_from_text("0.5").unwrap(), Number::Real(0.5));
    assert_eq!(number_from_text("1e3").unwrap(), Number::Real(1000.0));
    for text in ["9223372036854775808", "123456789012345678901234567890", "-9223372036854775809"] {
        assert!(message(number_from_text(text)).contains("does not fit a signed integer of 64 bits"), "{text}");
    }
    assert!(
        message(number_from_text("\"5\"")).contains("it is the string \"5\" (line 1, column 1); it must be a number")
    );
    assert!(message(number_from_text("1e999")).contains("it is 1e999"));
}

#[test]
fn durations_and_ids_are_read_as_people_write_them() {
    for text in ["90", "\"90\"", "1m30s", " \"1m30s\" ", "90.0"] {
        assert_eq!(duration_from_text(text).unwrap().as_secs(), 90, "{text}");
    }
    assert!(message(duration_from_text("soon")).contains("'soon' is not a duration"));
    assert_eq!(id_from_text("task_id", &samples::id(1).to_string()).unwrap(), samples::id(1));
    assert!(message(id_from_text("task_id", "7")).starts_with("task_id: \"7\" is not a UUID such as "));
}

#[test]
fn an_id_of_ones_own_is_told_where_it_goes() {
    let hint = |told: String| assert!(told.contains("give it to dispatch as its idempotency_key"), "{told}");
    hint(message(id_from_text("execution_id", "order-7")));
    hint(message(options::dispatch(Some("{\"id\": \"order-7\"}"))));
    hint(message(options::dispatch_requests("[{\"function\": \"f\", \"options\": {\"id\": \"order-7\"}}]")));
    hint(message(options::dead_letter_filter(Some("{\"execution_id\": \"order-7\"}"))));
    for operation in ["wait", "result", "state", "signal", "cancel"] {
        let request = "{\"execution_id\": \"order-7\", \"name\": \"n\"}";
        let request = if operation == "signal" { request } else { "{\"execution_id\": \"order-7\"}" };
        hint(message(super::super::submissions::submission(operation, Some(request))));
    }
    assert!(!message(id_from_text("task_id", "order-7")).contains("idempotency_key"));
}

#[test]
fn columns_come_back_and_a_damaged_one_is_named() {
    use crate::codec::*;
    let (task, failure, policy) = (samples::task(), samples::failure(), samples::retry_policy());
    assert_eq!(task_from_column(&task_to_column(&task)).unwrap(), task);
    assert_eq!(failure_from_column(&failure_to_column(&failure)).unwrap(), failure);
    assert_eq!(policy_from_column(&policy_to_column(&policy)).unwrap(), policy);
    for tags in [vec![], vec!["eu".to_owned(), "gpu".to_owned()]] {
        assert_eq!(tags_from_column(tags_to_column(&tags).as_deref()).unwrap(), tags);
    }
    let error = task_from_column(b"{").unwrap_err();
    assert_eq!((error.status(), detail(&error, "column")), (Status::Backend, "task".to_owned()));
}

#[test]
fn names_and_counts_that_no_worker_would_say_are_refused_before_any_store_is_asked() {
    let ask = |operation: &str, text: &str| super::super::operations::engine_request(operation, Some(text));
    let claim = |count: &str| {
        format!(
            "{{\"transitions\": [], \"claim\": {{\"worker_id\": \"w\", \"count\": {count}, \"limited\": 0, \"begin\": 0, \
             \"slots\": 1, \"lease\": 30}}}}"
        )
    };
    assert!(ask("advance", &claim("10000")).is_ok());
    let error = ask("advance", &claim("18446744073709551615")).unwrap_err();
    assert_eq!(error.message(), "advance: claim.count is 18446744073709551615; it must be from 0 to 10000");
    let signal = "{\"signal\": {\"execution_id\": \"018bcfe5-6800-7101-8101-010101010101\", \"name\": \"a\\u0000b\", \"payload\": 1}}";
    let error = ask("signal", signal).unwrap_err();
    assert!(error.message().contains("control character"), "{error}");
}

#[test]
fn a_store_of_four_billion_readers_is_refused_and_a_patience_of_months_is_not() {
    assert!(message(options::sqlite(Some("{\"readers\": 4294967295}"))).contains("from 1 to 10000"));
    assert!(options::sqlite(Some("{\"busy_timeout\": \"25d\"}")).is_ok());
}
