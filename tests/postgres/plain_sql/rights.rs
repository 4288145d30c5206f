//! A role that may dispatch and nothing else, and sessions with settings of their own.

use std::time::Duration;

use stent::backend::postgres::Postgres;
use stent::model::{DispatchOptions, FunctionOptions, Id, TaskOptions};

use super::{Client, schema_of_url};
use crate::house::{House, text};
use crate::postgres::{fresh_url, shared};

#[test]
fn a_role_that_may_dispatch_can_do_nothing_else() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.echo("echo");
    let _worker = house.worker(1);
    let schema = schema_of_url(&url).to_owned();
    let role = format!("app_{schema}");
    let as_role = shared().url.replace("//stent@", &format!("//{role}@"));
    assert_ne!(as_role, shared().url);
    let owner = house.on(Client::of(&url));
    house.on(owner.say(&format!("CREATE ROLE {role} LOGIN")));
    let app = house.on(Client::at(&as_role, &schema));
    let refused = |app: &Client, sql: &str| house.on(app.run(sql)).unwrap_err().state;
    assert_eq!(refused(&app, "SELECT stent.dispatch('echo', '[1]')"), "42501");
    house
        .on(owner.say(&format!("GRANT USAGE ON SCHEMA stent.x TO {role}").replace(".x", "").replace("stent", &schema)));
    // PUBLIC has no right, not to these and not to what they are made of.
    for sql in [
        "SELECT stent.dispatch('echo')",
        "SELECT stent.dispatch('echo', '[]'::json)",
        "SELECT stent.dispatch('echo', '[]'::jsonb)",
        "SELECT stent.signal(gen_random_uuid(), 'a')",
        "SELECT stent.signal(gen_random_uuid(), 'a', '1'::json)",
        "SELECT stent.signal(gen_random_uuid(), 'a', '1'::jsonb)",
        "SELECT stent.cancel(gen_random_uuid())",
        "SELECT stent.sql_dispatch('echo', '[]', '{}')",
        "SELECT stent.sql_tell('w')",
    ] {
        assert_eq!(refused(&app, sql), "42501", "{sql}");
    }
    house.on(owner.say(&format!("GRANT EXECUTE ON FUNCTION stent.dispatch(text, text, text) TO {role}")));
    let id = house.on(app.dispatch("echo", "[1]", "{\"idempotency_key\": \"k\", \"queue\": \"q\"}")).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[1]");
    let id = house.on(app.dispatch("echo", "[3]", "{\"concurrency_key\": \"c\"}")).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[3]");
    for sql in [
        "SELECT stent.slots_fill('echo', 'c', NULL, NULL, NULL)",
        "SELECT stent.dispatch('echo', '[]'::json)",
        "SELECT stent.cancel(gen_random_uuid())",
        "SELECT stent.sql_dispatch('echo', '[]', '{}')",
        "SELECT count(*) FROM stent.executions",
        "SELECT count(*) FROM stent.tasks",
        "DELETE FROM stent.tasks",
        "UPDATE stent.executions SET state = 'failed'",
        "INSERT INTO stent.catalog VALUES (1)",
        "SELECT count(*) FROM stent.idempotency",
        "SELECT count(*) FROM stent.requests",
        "CREATE TABLE stent.mine (a int)",
        "CREATE FUNCTION stent.dispatch(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ] {
        assert_eq!(refused(&app, sql), "42501", "{sql}");
    }

    // With rights to all of them it still writes by the doors alone.
    house.on(owner.say(&format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}")));
    for sql in [
        "SELECT stent.sql_dispatch('echo', '[]', '{}')",
        "SELECT stent.sql_route('q', 'f', NULL)",
        "SELECT stent.sql_cancel(gen_random_uuid(), '')",
    ] {
        let state = refused(&app, sql);
        assert!(state == "42501" || state == "42883" || state == "42P01", "{sql}: {state}");
    }
    let waits = house.dispatch("nobody", "[]");
    house.on(app.signal(waits, "go", "1", "{}")).unwrap();
    house.on(app.cancel(waits, None)).unwrap();

    // What the owner's rights are used on is the store's, whatever stands in the session's way.
    house.on(async {
        app.say(
            "CREATE TEMP TABLE executions (LIKE pg_class); CREATE TEMP TABLE functions AS SELECT 'echo'::text AS name, 'trap'::text AS queue;
            CREATE TEMP TABLE routes (id bigint); CREATE TEMP TABLE tasks (id uuid);
            CREATE FUNCTION pg_temp.sql_json(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT '[\"trap\"]' $$;
            CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT ''::bytea $$;
            SET search_path TO pg_temp, public; SET standard_conforming_strings TO off; SET extra_float_digits TO -15;
            SET bytea_output TO escape; SET DateStyle TO 'German'; SET TimeZone TO 'Asia/Kolkata'; SET IntervalStyle TO 'sql_standard';
            SET default_transaction_isolation TO serializable; SET enable_indexscan TO off; SET plan_cache_mode TO force_custom_plan",
        )
        .await;
    });
    let options = "{\"retry_policy\": {\"initial_delay\": 0.123456}, \"timeout\": 7.000001, \"cached\": true, \"kwargs\": {\"a\\\\b\": 1}}";
    let id = house.on(app.dispatch("echo", "[\"\\\\\"]", options)).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[\"\\\\\"]");
    let kept = format!(
        "SELECT (retry_policy::json ->> 'initial_delay') || ' ' || timeout || ' ' || length(cache_key) FROM stent.tasks WHERE execution_id = '{id}'"
    );
    assert_eq!(house.on(owner.one(&kept)), "0.123456 7000001 70");
    // A key's slots are given at the end of the transaction, past the session's own table of that name.
    house.on(app.say("SET default_transaction_isolation TO 'read committed'"));
    let id = house.on(app.dispatch("echo", "[4]", "{\"concurrency_key\": \"c\"}")).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[4]");
    // Who owns them says who may no more.
    house.on(owner.say(&format!("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}")));
    assert_eq!(refused(&app, "SELECT stent.dispatch('echo', '[1]')"), "42501");
    // A grant stays when the functions are made anew.
    house.on(async {
        owner.say(&format!("GRANT EXECUTE ON FUNCTION stent.dispatch(text, text, text) TO {role}; COMMENT ON FUNCTION stent.dispatch(text, text, text) IS 'of another library'")).await;
    });
    drop(House::at(&url));
    let said = "SELECT obj_description('stent.dispatch(text, text, text)'::regprocedure, 'pg_proc')";
    assert!(house.on(owner.one(said)).contains("Starts an execution"));
    house.on(app.dispatch("echo", "[1]", "{}")).unwrap();
    assert_eq!(refused(&app, "SELECT stent.cancel(gen_random_uuid())"), "42501");
}

#[test]
fn without_their_language_a_store_says_so() {
    let url = fresh_url("");
    let house = House::at(&url);
    let schema = schema_of_url(&url).to_owned();
    let (name, other) = (format!("bare_{schema}"), shared().url.replace("/postgres", &format!("/bare_{schema}")));
    let client = house.on(Client::of(&url));
    house.on(client.say(&format!("CREATE DATABASE {name} TEMPLATE template0")));
    let bare = house.on(Client::at(&other, "stent"));
    house.on(bare.say("DROP EXTENSION plpgsql"));
    let opened = format!("{other}?max_size=4&min_size=0");
    let why = house.on(Postgres::open(&opened)).err().unwrap();
    assert!(why.message().contains("plpgsql"), "{why}");
    house.on(bare.say("CREATE EXTENSION plpgsql"));
    let there = House::at(&opened);
    there.echo("echo");
    let worker = there.worker(1);
    let id = house.on(bare.dispatch("echo", "[2]", "{}")).unwrap();
    assert_eq!(there.result(id).unwrap(), "[2]".into());
    there.on(worker.stop(Some(Duration::from_secs(60)))).unwrap();
    drop((there, bare));
    let dropped = format!("DROP DATABASE {name} WITH (FORCE)");
    house.on(client.say(&dropped));
}

#[test]
fn the_functions_are_where_the_store_is_whatever_its_name() {
    let server = shared();
    let place = format!("{}?schema=My%20%22Store%22&min_size=0&max_size=4", server.url);
    let house = House::at(&place);
    house.echo("echo");
    let _worker = house.worker(1);
    let client = house.on(Client::at(&server.url, "My \"\"Store\"\""));
    let id = house.on(client.dispatch("echo", "[1]", "{\"tags\": [\"t\"]}")).unwrap();
    assert_eq!(text(&house.result(id).unwrap()), "[1]");
    house.on(client.cancel(house.dispatch("nobody", "[]"), None)).unwrap();
}

#[test]
fn the_functions_belong_to_the_tables_owner_whoever_opens_the_store() {
    let url = fresh_url("");
    let schema = schema_of_url(&url).to_owned();
    let (owner, member) = (format!("owner_{schema}"), format!("member_{schema}"));
    let as_user = |user: &str| url.replace("//stent@", &format!("//{user}@"));
    let house = House::at(&fresh_url(""));
    let client = house.on(Client::of(&url));
    house.on(client.say(&format!(
        "CREATE ROLE {owner} LOGIN; CREATE ROLE {member} LOGIN IN ROLE {owner}; CREATE SCHEMA {schema} AUTHORIZATION {owner}"
    )));
    let owners = "SELECT string_agg(DISTINCT proowner::regrole::text, ' ') FROM pg_proc WHERE pronamespace = 'NAME'::regnamespace";
    let owners = owners.replace("NAME", &schema);
    drop(House::at(&as_user(&owner)));
    assert_eq!(house.on(client.one(&owners)), owner);
    // A superuser, and a role that may act for the owner.
    for opens in ["stent", &member] {
        house.on(client.say("DROP FUNCTION stent.dispatch(text, text, text)"));
        let there = House::at(&as_user(opens));
        assert_eq!(house.on(client.one(&owners)), owner, "{opens}");
        there.echo("echo");
        let _worker = there.worker(1);
        let id = house.on(client.dispatch("echo", "[1]", "{}")).unwrap();
        assert_eq!(there.result(id).unwrap(), "[1]".into());
    }
    // Who may not leaves them, and works.
    let stranger = format!("stranger_{schema}");
    house.on(client.say(&format!(
        "CREATE ROLE {stranger} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {stranger}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES \
         IN SCHEMA {schema} TO {stranger}; DROP FUNCTION stent.dispatch(text, text, text)"
    )));
    let there = House::at(&as_user(&stranger));
    there.echo("echo");
    let _worker = there.worker(1);
    assert_eq!(there.run("echo", "[2]").unwrap(), "[2]".into());
    assert_eq!(house.on(client.dispatch("echo", "[1]", "{}")).unwrap_err().state, "42883");
    // It gives slots of keys too, with its own rights.
    let limit = FunctionOptions { max_concurrent_per_key: Some(1), ..FunctionOptions::default() };
    there.function_with("keyed", limit, |task| task.complete(task.args().clone()));
    let _keyed = there.worker(4);
    let task = TaskOptions { concurrency_key: Some("k".into()), ..TaskOptions::default() };
    let key = DispatchOptions { task, ..DispatchOptions::default() };
    let ids: Vec<Id> = (0..8)
        .map(|n| there.on(there.executor.dispatch("keyed", format!("[{n}]").as_str().into(), key.clone())).unwrap())
        .collect();
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(text(&there.result(id).unwrap()), format!("[{n}]"));
    }
}

/// All of a schema that its visitors may call without a grant, and with whose rights that runs.
const EVERYBODYS: &str = "
    SELECT coalesce(string_agg(proname || CASE WHEN prosecdef THEN ' (the owner''s rights)' ELSE '' END, ', ' ORDER BY proname), '')
    FROM pg_proc WHERE pronamespace = 'NAME'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')";

#[test]
fn no_function_is_everybodys_but_what_workers_call_with_their_own_rights() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let found = house.on(client.one(&EVERYBODYS.replace("NAME", schema_of_url(&url))));
    assert_eq!(found, "slots_fill, slots_settle", "a migration that makes a function revokes it FROM PUBLIC");
}

#[test]
fn a_trigger_function_does_nothing_for_a_table_that_is_not_the_stores() {
    let url = fresh_url("");
    let house = House::at(&url);
    let schema = schema_of_url(&url).to_owned();
    let role = format!("visitor_{schema}");
    let owner = house.on(Client::of(&url));
    house.on(owner.say(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}")));
    let visitor = house.on(Client::at(&shared().url.replace("//stent@", &format!("//{role}@")), &schema));
    let id = house.dispatch("nobody", "[]");
    let kept = format!("SELECT t::text FROM stent.tasks AS t WHERE execution_id = '{id}'");
    let before = house.on(owner.one(&kept));
    let all = "SELECT string_agg(proname, ' ') FROM pg_proc
               WHERE pronamespace = 'NAME'::regnamespace AND prorettype = 'trigger'::regtype";
    let all = house.on(owner.one(&all.replace("NAME", &schema)));
    assert!(all.split(' ').count() > 6, "{all}");
    // Without a right to call them; and with one to call everything.
    for granted in [false, true] {
        if granted {
            house.on(owner.say(&format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}")));
        }
        for name in all.split(' ') {
            let asks = format!(
                "CREATE TEMP TABLE mine AS
                     SELECT (SELECT '{id}'::uuid) AS id, '{id}'::uuid AS execution_id, 'nobody'::text AS step_name,
                         'k'::text AS concurrency_key, 'cancel'::text AS kind, 'nobody'::text AS name, 'pending'::text AS state,
                         1::bigint AS slot, 1::bigint AS lane, 1 AS x;
                 CREATE TRIGGER mine AFTER UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION stent.{name}();
                 UPDATE mine SET x = 2, id = (SELECT id FROM mine)"
            );
            let why = house.on(visitor.run(&asks)).expect_err(name);
            assert_eq!(why.state, "42501", "{name}: {why:?}");
            house.on(visitor.say("DROP TABLE IF EXISTS mine"));
        }
    }
    assert_eq!(house.on(owner.one(&kept)), before);
}
