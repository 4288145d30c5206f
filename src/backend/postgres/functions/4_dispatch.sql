-- A dispatch in the caller's transaction. What it writes is what the engine's dispatch writes.

CREATE OR REPLACE FUNCTION sql_unique_holders(text)
RETURNS TABLE (execution_id uuid, dispatched_at timestamptz, asked_id uuid, state text, waits boolean, latest boolean)
LANGUAGE sql AS $$
{unique_find}
$$;

CREATE OR REPLACE FUNCTION sql_unique_set_aside(text) RETURNS void LANGUAGE sql AS $$
{unique_forget};
{unique_set_aside}
$$;

CREATE OR REPLACE FUNCTION sql_dispatch(function_name text, args_json text, options_json text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    known text[] := {dispatch_names};
    kinds text[] := {dispatch_kinds};
    what text := 'dispatch options: ';
    args text := sql_json('args', 'args', coalesce(args_json, '[]'));
    names text[];
    given_values text[];
    option text;
    one text;
    -- what is given
    execution uuid;
    kwargs text := '{}';
    delay bigint;
    expiry bigint;
    max_duration bigint;
    idempotency_key text;
    reuse text := 'after_failure';
    unique_key text;
    unique_for bigint;
    key_while text;
    existing text := 'return';
    debounce bigint;
    debounce_max bigint;
    compensation text;
    trace text;
    to_queue text;
    tags text[];
    urgency bigint;
    policy text;
    attempt_timeout bigint;
    keep boolean;
    keep_for bigint;
    slot_key text;
    ageing bigint;
    share_key text;
    share_weight float8;
    -- what follows
    chosen boolean;
    root uuid;
    written_args bytea;
    written_kwargs bytea;
    declared functions%ROWTYPE;
    hash bytea;
    cached_under text;
    full_key text;
    tags_json text;
    lane bigint;
    head_start bigint;
    at timestamptz;
    expires timestamptz;
    starts timestamptz;
    owner record;
    joined uuid;
    owns boolean := false;
    held record;
    done boolean := false;
    outcome bytea;
BEGIN
    PERFORM sql_name('', 'function', function_name);
    IF left(args, 1) <> '[' THEN
        PERFORM sql_refuse('22023', 'args is ' || left(args, 60), 'args', 'It must be an array of arguments, such as [1, "two"].');
    END IF;
    options_json := coalesce(nullif(btrim(options_json, E' \t\n\r'), ''), '{}');
    SELECT m.names, m.given_values INTO names, given_values
    FROM sql_members('dispatch options', known, sql_json('dispatch options', NULL, options_json)) AS m;
    FOR place IN 1 .. cardinality(names) LOOP
        option := names[place];
        one := given_values[place];
        CONTINUE WHEN one = 'null';
        CASE kinds[array_position(known, option)]
        WHEN 'string' THEN
            one := sql_text(what, option, one);
            IF option NOT IN ('idempotency_reuse', 'unique_while', 'unique_existing') THEN
                PERFORM sql_name(what, option, one);
            END IF;
        WHEN 'integer' THEN
            one := sql_integer(what, option, one, -9223372036854775808, 9223372036854775807);
        WHEN 'duration' THEN
            one := sql_duration(what, option, one);
        WHEN 'boolean' THEN
            one := sql_boolean(what, option, one);
        WHEN 'uuid' THEN
            one := sql_id(what, option, one);
        WHEN 'number' THEN
            one := sql_between(what, option, one, {weight_min}, {weight_max});
        ELSE
            NULL;
        END CASE;
        CASE option
        WHEN 'id' THEN
            execution := one;
        WHEN 'kwargs' THEN
            kwargs := sql_json(what || option, option, one);
            IF left(kwargs, 1) <> '{' OR sql_wrapped(kwargs) IS NOT NULL THEN
                PERFORM sql_refuse('22023', what || 'kwargs is ' || left(kwargs, 60), option, 'It must be an object of named arguments, such as {"retries": 1}.');
            END IF;
        WHEN 'delay' THEN
            delay := one;
        WHEN 'expiry' THEN
            expiry := one;
        WHEN 'max_duration' THEN
            max_duration := one;
        WHEN 'idempotency_key' THEN
            idempotency_key := one;
        WHEN 'idempotency_reuse' THEN
            reuse := one;
            IF reuse <> ALL({key_reuse}) THEN
                PERFORM sql_refuse('22023', what || option || ' is "' || left(reuse, 60) || '"', option, 'It must be one of ' || array_to_string({key_reuse}, ', ') || '.');
            END IF;
        WHEN 'unique_key' THEN
            unique_key := one;
        WHEN 'unique_for' THEN
            unique_for := one;
        WHEN 'unique_while' THEN
            key_while := one;
            IF key_while <> ALL({key_while}) THEN
                PERFORM sql_refuse('22023', what || option || ' is "' || left(key_while, 60) || '"', option, 'It must be one of ' || array_to_string({key_while}, ', ') || '.');
            END IF;
        WHEN 'unique_existing' THEN
            existing := one;
            IF existing <> ALL({existing}) THEN
                PERFORM sql_refuse('22023', what || option || ' is "' || left(existing, 60) || '"', option, 'It must be one of ' || array_to_string({existing}, ', ') || '.');
            END IF;
        WHEN 'debounce' THEN
            debounce := one;
        WHEN 'debounce_max' THEN
            debounce_max := one;
        WHEN 'on_cancel' THEN
            compensation := one;
        WHEN 'traceparent' THEN
            trace := one;
        WHEN 'queue' THEN
            to_queue := one;
        WHEN 'tags' THEN
            tags := sql_strings(what, option, one);
            IF cardinality(tags) > {tags_max} THEN
                PERFORM sql_refuse('22023', what || cardinality(tags) || ' tags are given', option, 'At most {tags_max} are allowed.');
            END IF;
            FOREACH one IN ARRAY tags LOOP
                PERFORM sql_name(what, 'a tag', one);
            END LOOP;
        WHEN 'priority' THEN
            urgency := one;
        WHEN 'retry_policy' THEN
            policy := sql_policy(what, one);
        WHEN 'timeout' THEN
            attempt_timeout := one;
        WHEN 'cached' THEN
            keep := one;
        WHEN 'cache_ttl' THEN
            keep_for := one;
        WHEN 'concurrency_key' THEN
            slot_key := one;
            IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
                PERFORM sql_refuse(
                    '0A000', what || 'a concurrency_key needs a transaction that is READ COMMITTED', option,
                    'Begin it with ISOLATION LEVEL READ COMMITTED.'
                );
            END IF;
        WHEN 'priority_ageing' THEN
            ageing := one;
            IF NOT ageing BETWEEN {ageing_min} AND {ageing_max} THEN
                PERFORM sql_refuse(
                    '22023', what || option || ' is ' || ageing / 1e6 || ' s', option,
                    'It must be from ' || {ageing_min} / 1e6 || ' s to ' || {ageing_max} / 1000000 || ' s.'
                );
            END IF;
        WHEN 'fairness_key' THEN
            share_key := one;
        WHEN 'fairness_weight' THEN
            share_weight := one;
        ELSE
            PERFORM sql_refuse('0A000', what || option || ' can''t be given here', option, 'Dispatch by the library.');
        END CASE;
    END LOOP;
    IF expiry IS NOT NULL AND max_duration IS NOT NULL THEN
        PERFORM sql_refuse(
            '22023', what || 'expiry and max_duration are both given', 'expiry',
            'Give one: expiry counts from the dispatch, max_duration from the end of the delay.'
        );
    END IF;
    IF unique_key IS NULL AND (unique_for IS NOT NULL OR key_while IS NOT NULL OR existing <> 'return' OR debounce IS NOT NULL) THEN
        option := CASE
            WHEN unique_for IS NOT NULL THEN 'unique_for'
            WHEN key_while IS NOT NULL THEN 'unique_while'
            WHEN existing <> 'return' THEN 'unique_existing'
            ELSE 'debounce'
        END;
        PERFORM sql_refuse('22023', what || option || ' is given without a unique_key', option, 'Give both, or none.');
    END IF;
    IF debounce IS NULL AND debounce_max IS NOT NULL THEN
        PERFORM sql_refuse('22023', what || 'debounce_max is given without a debounce', 'debounce_max', 'Give both, or none.');
    END IF;
    IF debounce = 0 THEN
        PERFORM sql_refuse('22023', what || 'debounce is 0', 'debounce', 'It must be longer; leave it out to start at once.');
    END IF;
    option := CASE
        WHEN delay IS NOT NULL THEN 'delay'
        WHEN unique_for IS NOT NULL THEN 'unique_for'
        WHEN key_while IS NOT NULL THEN 'unique_while'
        WHEN existing <> 'return' THEN 'unique_existing'
        WHEN idempotency_key IS NOT NULL THEN 'idempotency_key'
    END;
    IF debounce IS NOT NULL AND option IS NOT NULL THEN
        PERFORM sql_refuse('22023', what || 'debounce and ' || option || ' are both given', option, 'Leave one of them out.');
    END IF;
    IF expiry <= least(debounce, debounce_max) THEN
        PERFORM sql_refuse(
            '22023', what || 'expiry ends it before debounce lets it start', 'expiry',
            'Give a longer one, or max_duration, which counts from there.'
        );
    END IF;

    IF share_weight IS NOT NULL AND share_key IS NULL THEN
        PERFORM sql_refuse('22023', what || 'fairness_weight is given without a fairness_key', 'fairness_weight', 'Give both, or none.');
    END IF;

    -- what is left out is the function's
    function_name := sql_stored(function_name);
    SELECT * INTO declared FROM functions AS f WHERE f.name = function_name;
    to_queue := coalesce(sql_stored(to_queue), declared.queue);
    keep := coalesce(keep, declared.cached, false);
    tags_json := CASE WHEN tags IS NULL THEN declared.tags ELSE sql_stored(sql_tags(tags, false)) END;
    IF tags IS NULL AND declared.tags IS NOT NULL THEN
        tags := ARRAY(SELECT t.tag FROM jsonb_array_elements_text(declared.tags::jsonb) WITH ORDINALITY AS t (tag, place) ORDER BY t.place);
        lane := sql_route(to_queue, function_name, sql_tags(tags, true));
    ELSE
        lane := sql_route(to_queue, function_name, sql_stored(sql_tags(tags, true)));
    END IF;
    share_key := sql_share_key(to_queue, sql_stored(share_key));
    ageing := coalesce(ageing, declared.priority_ageing);
    -- by no more than thirty years
    head_start := CASE
        WHEN ageing IS NOT NULL THEN greatest(least(coalesce(urgency, declared.priority, 0)::numeric * ageing, 1e15), -1e15)
    END;
    IF keep OR idempotency_key IS NOT NULL OR declared.idempotent THEN
        hash := sql_hash(args, kwargs);
    END IF;
    IF keep THEN
        cached_under := function_name || '@' || coalesce(declared.version, '') || '/' || encode(hash, 'hex');
    END IF;
    idempotency_key := coalesce(sql_stored(idempotency_key), CASE WHEN declared.idempotent THEN 'args:' || encode(hash, 'hex') END);

    IF debounce IS NOT NULL AND (keep OR idempotency_key IS NOT NULL) THEN
        PERFORM sql_refuse(
            '22023', 'dispatch: ' || function_name || ' is idempotent or cached, so what it does belongs to its arguments, which debounce replaces',
            'debounce', 'Leave out debounce.'
        );
    END IF;

    IF execution IS NOT NULL THEN
        PERFORM sql_moved('dispatch: ', execution);
    END IF;
    chosen := execution IS NOT NULL;
    execution := coalesce(execution, sql_new_id());
    root := sql_root_id(execution);
    written_args := convert_to(nullif(args, '[]'), 'UTF8');
    written_kwargs := convert_to(nullif(kwargs, '{}'), 'UTF8');
    at := clock_timestamp();
    -- Locked before anything else is, as the engine does.
    unique_key := function_name || '/' || sql_stored(unique_key);
    IF unique_key IS NOT NULL THEN
        INSERT INTO unique_keys AS u (key, dispatched_at, expires_at) VALUES (unique_key, at, at)
        ON CONFLICT (key) DO UPDATE SET key = excluded.key;
    END IF;
    IF debounce IS NOT NULL THEN
        PERFORM FROM executions AS e
        WHERE e.id = (SELECT u.execution_id FROM unique_keys AS u WHERE u.key = unique_key)
        FOR NO KEY UPDATE;
    END IF;
    IF unique_for IS NULL AND debounce IS NULL THEN
        key_while := coalesce(key_while, 'unfinished');
    END IF;
    IF key_while = 'pending' THEN
        -- Who is found waiting is not begun before this is committed, and finds then what else this transaction has written.
        PERFORM FROM tasks AS t
        WHERE t.id = sql_root_id((SELECT u.execution_id FROM unique_keys AS u WHERE u.key = unique_key))
            AND t.state = 'pending' AND t.fence = 0
        FOR NO KEY UPDATE;
    END IF;
    full_key := function_name || '/' || idempotency_key;
    -- Who finds the key taken locks nothing, unless it has to wait for a task's end.
    WHILE full_key IS NOT NULL LOOP
        INSERT INTO idempotency (key, owner, args_hash, expires_at) VALUES (full_key, root, hash, at + interval '7 days')
        ON CONFLICT (key) DO NOTHING;
        owns := FOUND;
        EXIT WHEN owns;
        SELECT i.value, i.owner, i.args_hash, i.expires_at <= at AS expired, t.state, t.result, e.id AS execution INTO owner
        FROM idempotency AS i
        LEFT JOIN tasks AS t ON t.id = i.owner
        LEFT JOIN executions AS e ON e.id = t.execution_id AND e.root_task_id = t.id
        WHERE i.key = full_key;
        CONTINUE WHEN NOT FOUND;
        IF owner.expired IS NOT TRUE THEN
            IF owner.args_hash <> hash THEN
                PERFORM sql_refuse(
                    '23505', 'dispatch: the idempotency key ''' || idempotency_key || ''' of ' || function_name
                        || ' is taken by a call with other arguments', 'idempotency_key', 'Use another key, or the same arguments.'
                );
            END IF;
            IF owner.value IS NOT NULL THEN
                done := true;
                outcome := owner.value;
                EXIT;
            END IF;
            IF owner.state IN ('pending', 'running', 'waiting', 'completed') OR owner.state IS NOT NULL AND reuse = 'never' THEN
                IF owner.execution IS NOT NULL THEN
                    RETURN owner.execution;
                END IF;
                IF owner.state = 'completed' THEN
                    done := true;
                    outcome := coalesce(owner.result, 'null');
                    EXIT;
                END IF;
                -- A call of another execution has it: this one waits for that, which ends after it has looked who does.
                IF owner.state NOT IN ('failed', 'cancelled') THEN
                    PERFORM FROM idempotency AS i WHERE i.key = full_key AND i.owner = owner.owner FOR UPDATE;
                    CONTINUE WHEN NOT FOUND;
                    PERFORM FROM tasks AS t WHERE t.id = owner.owner AND t.state IN ('pending', 'running', 'waiting');
                    CONTINUE WHEN NOT FOUND;
                    joined := owner.owner;
                    EXIT;
                END IF;
            END IF;
            IF owner.state IS NULL AND owner.owner IS NOT NULL THEN
                PERFORM sql_moved('dispatch: the idempotency key ''' || idempotency_key || ''' is taken: ', owner.owner);
            END IF;
        END IF;
        UPDATE idempotency AS i
        SET value = NULL, owner = root, args_hash = hash, expires_at = at + interval '7 days'
        WHERE i.key = full_key AND i.owner IS NOT DISTINCT FROM owner.owner AND (i.value IS NULL OR owner.expired);
        owns := FOUND;
        EXIT WHEN owns;
    END LOOP;
    IF unique_key IS NOT NULL THEN
        IF debounce IS NOT NULL THEN
            SELECT h.* INTO held FROM sql_unique_holders(unique_key) AS h WHERE h.latest;
            -- Until a worker has it.
            IF held.waits THEN
                starts := least(
                    at + debounce * interval '1 microsecond', held.dispatched_at + debounce_max * interval '1 microsecond'
                );
                starts := CASE WHEN starts > at THEN starts END;
                UPDATE tasks AS t
                SET args = written_args,
                    kwargs = written_kwargs,
                    lane = CASE WHEN starts IS NULL THEN t.route END,
                    readied = CASE WHEN starts IS NULL THEN txid_current() END,
                    due_at = starts,
                    scheduled_for = starts
                WHERE t.id = sql_root_id(held.execution_id) AND t.state = 'pending' AND t.fence = 0;
                IF FOUND THEN
                    expires := coalesce(
                        at + expiry * interval '1 microsecond', coalesce(starts, at) + max_duration * interval '1 microsecond'
                    );
                    UPDATE executions AS e
                    SET args = written_args,
                        kwargs = written_kwargs,
                        expiry_at = expires,
                        due_at = expires
                    WHERE e.id = held.execution_id;
                    UPDATE unique_keys AS u SET asked_id = execution WHERE u.key = unique_key;
                    PERFORM sql_tell(CASE WHEN starts IS NULL THEN 'w' ELSE 'd0' END);
                    RETURN held.execution_id;
                END IF;
            END IF;
        ELSE
            SELECT h.* INTO held
            FROM sql_unique_holders(unique_key) AS h
            WHERE h.latest AND h.execution_id IS NOT NULL AND at < h.dispatched_at + unique_for * interval '1 microsecond'
                OR key_while = 'unfinished' AND h.state IN ('pending', 'running', 'cancelling')
                OR key_while = 'pending' AND h.latest AND h.waits
            ORDER BY h.latest DESC, h.dispatched_at DESC
            LIMIT 1;
            IF FOUND AND existing = 'refuse' THEN
                PERFORM sql_refuse(
                    '23505', 'dispatch: the unique key ''' || substr(unique_key, length(function_name) + 2) || ''' of ' || function_name
                        || ' is taken by execution ' || held.execution_id || ', which is '
                        || CASE
                            WHEN held.state IN ('pending', 'running', 'cancelling') THEN 'not over'
                            ELSE coalesce(held.state, 'not there any more')
                        END || '; nothing was started',
                    'unique_key', 'Wait for its end, use another key, or take its id as the answer.'
                );
            END IF;
            IF held.execution_id IS NOT NULL THEN
                IF owns THEN
                    DELETE FROM idempotency AS i WHERE i.key = full_key AND i.owner = root;
                END IF;
                RETURN held.execution_id;
            END IF;
        END IF;
        PERFORM FROM sql_unique_holders(unique_key) AS h
        WHERE h.latest AND h.state IN ('pending', 'running', 'cancelling');
        IF FOUND THEN
            PERFORM sql_unique_set_aside(unique_key);
        END IF;
        UPDATE unique_keys AS u
        SET execution_id = execution, dispatched_at = at, window_ends_at = at + unique_for * interval '1 microsecond',
            expires_at = at + greatest({unique_kept}, coalesce(unique_for, 0)) * interval '1 microsecond',
            asked_id = NULL
        WHERE u.key = unique_key;
    END IF;

    delay := coalesce(delay, least(debounce, debounce_max));
    starts := CASE WHEN delay > 0 THEN at + delay * interval '1 microsecond' END;
    expires := coalesce(at + expiry * interval '1 microsecond', coalesce(starts, at) + max_duration * interval '1 microsecond');
    INSERT INTO executions (
        id, root_function, root_task_id, state, priority, created_at, expiry_at, due_at, completed_at, on_cancel, traceparent,
        queue, tags, args, kwargs, result
    )
    VALUES (
        execution, function_name, root, CASE WHEN done THEN 'completed' ELSE 'pending' END,
        coalesce(urgency, declared.priority, 0), at, expires, CASE WHEN NOT done THEN expires END, CASE WHEN done THEN at END,
        sql_stored(compensation), sql_stored(trace), to_queue, tags_json::jsonb, written_args,
        written_kwargs, outcome
    )
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM sql_moved('dispatch: ', execution);
        PERFORM sql_refuse('23505', 'dispatch: an execution with the id ' || execution || ' exists already; nothing was started', 'id', 'Give it another id, or none.');
    END IF;
    IF chosen THEN
        -- It may have left while it was waited for: only a later statement sees that.
        PERFORM sql_moved('dispatch: ', execution);
    END IF;
    INSERT INTO tasks (
        id, execution_id, root, step_name, kind, state, lane, route, priority, fence, created_at, due_at, scheduled_for,
        completed_at, timeout, joins, idempotency_key, cache_key, cache_ttl, queue, tags, retry_policy, args, kwargs, result,
        concurrency_key, asked_priority, made_at, head_start, fairness_key, fairness_weight
    )
    VALUES (
        root, execution, true, function_name, 'orchestrator',
        CASE WHEN done THEN 'completed' WHEN joined IS NOT NULL THEN 'waiting' ELSE 'pending' END,
        CASE WHEN NOT done AND joined IS NULL AND starts IS NULL THEN lane END, lane,
        CASE WHEN head_start IS NULL THEN coalesce(urgency, declared.priority, 0) ELSE 0 END,
        CASE WHEN done THEN 1 ELSE 0 END, at + (1 - coalesce(head_start, 0)) * interval '1 microsecond',
        CASE WHEN NOT done AND joined IS NULL THEN starts END, CASE WHEN joined IS NULL THEN starts END,
        CASE WHEN done THEN at END, coalesce(attempt_timeout, declared.timeout), joined, idempotency_key, cached_under,
        coalesce(keep_for, declared.cache_ttl), to_queue, tags_json, coalesce(sql_stored(policy), declared.retry_policy),
        written_args, written_kwargs, outcome,
        sql_stored(slot_key), CASE WHEN head_start IS NOT NULL THEN coalesce(urgency, declared.priority, 0) END,
        CASE WHEN head_start IS NOT NULL THEN at + interval '1 microsecond' END, head_start, share_key, share_weight
    )
    ON CONFLICT (id) DO NOTHING;
    IF done THEN
        PERFORM sql_tell('e' || replace(execution::text, '-', ''));
    ELSIF joined IS NULL AND starts IS NULL THEN
        PERFORM sql_tell('w');
    END IF;
    IF starts IS NOT NULL OR expires IS NOT NULL THEN
        -- Whoever hears it looks when.
        PERFORM sql_tell('d0');
    END IF;
    RETURN execution;
END
$$;
