-- Options as the library reads them: strictly, by its own tables. What is written between braces here is filled in by it.

-- A JSON string as text.
CREATE OR REPLACE FUNCTION sql_text(what text, key text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF left(value, 1) <> '"' THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be a string.');
    END IF;
    IF strpos(value, E'\\') = 0 THEN
        RETURN substr(value, 2, length(value) - 2);
    END IF;
    IF strpos(value, E'\\u0000') > 0 AND value ~ E'^(?:[^\\\\]|\\\\[^u]|\\\\u(?!0000))*\\\\u0000' THEN
        PERFORM sql_refuse('22023', what || key || E' has the character \\u0000 in it', key, 'Leave it out: no text has it.');
    END IF;
    BEGIN
        RETURN value::json #>> '{}';
    EXCEPTION WHEN untranslatable_character OR invalid_text_representation OR feature_not_supported THEN
        PERFORM sql_refuse(
            '22023', what || key || ' has an escape in it that stands for no character of this database', key,
            E'Write the character itself, and not \\u....'
        );
    END;
END
$$;

-- A number, or null for one that is none of 64 bits.
CREATE OR REPLACE FUNCTION sql_number(value text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN value::float8;
EXCEPTION WHEN numeric_value_out_of_range THEN
    -- too small is zero
    RETURN CASE WHEN value ~ '[eE]-' THEN 0 END;
END
$$;

-- Microseconds of a duration: a number of seconds, or text such as "1h30m".
CREATE OR REPLACE FUNCTION sql_duration(what text, key text, value text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    words text := value;
    part text[];
    seconds float8;
    sum numeric := 0;
BEGIN
    IF left(value, 1) = '"' THEN
        words := btrim(sql_text(what, key, value), E' \t\n\r\f\v');
    ELSIF value !~ '^[-0-9]' THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be a duration: a number of seconds, or text such as "1h30m".');
    END IF;
    FOR part IN
        SELECT CASE
            WHEN words ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$' THEN ARRAY[words, NULL]
            WHEN words ~ '^(([0-9]+[.]?[0-9]*|[.][0-9]+)(ms|s|m|h|d|w)[[:space:]]*)+$' THEN m.found
            ELSE ARRAY[NULL, NULL]
        END
        FROM (SELECT ARRAY['', '']) AS one
        LEFT JOIN LATERAL regexp_matches(words, '([0-9]+[.]?[0-9]*|[.][0-9]+)(ms|s|m|h|d|w)', 'g') AS m (found) ON true
    LOOP
        seconds := sql_number(part[1]);
        IF part[2] IS NOT NULL THEN
            seconds := seconds * CASE part[2]
                WHEN 'w' THEN 604800000 WHEN 'd' THEN 86400000 WHEN 'h' THEN 3600000 WHEN 'm' THEN 60000 WHEN 's' THEN 1000
                ELSE 1
            END::float8 / 1000::float8;
        END IF;
        IF seconds IS NULL OR NOT seconds BETWEEN 0 AND {duration_max} THEN
            PERFORM sql_refuse(
                '22023', what || key || ': ''' || left(words, 60) || ''' is not a duration', key,
                'Write a number of seconds, or numbers with the units ms s m h d w, such as "1h30m"; 0 or more, and below 1000 years.'
            );
        END IF;
        seconds := seconds * 1e6;
        -- halves are rounded up
        sum := sum + floor(seconds)::bigint + CASE WHEN seconds - floor(seconds) >= 0.5 THEN 1 ELSE 0 END;
    END LOOP;
    IF sum > {duration_max}::numeric * 1000000 THEN
        PERFORM sql_refuse('22023', what || key || ': ''' || left(words, 60) || ''' is too long a duration', key, 'It must be below 1000 years.');
    END IF;
    RETURN sum;
END
$$;

CREATE OR REPLACE FUNCTION sql_integer(what text, key text, value text, low numeric, high numeric) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- what is longer than this is out of any range
    IF value !~ '^-?[0-9]{1,40}$' OR NOT value::numeric BETWEEN low AND high THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be an integer from ' || low || ' to ' || high || '.');
    END IF;
    RETURN value;
END
$$;

CREATE OR REPLACE FUNCTION sql_between(what text, key text, value text, low float8, high float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- a number in JSON begins with its sign or a digit
    IF value !~ '^[-0-9]' OR (sql_number(value) BETWEEN low AND high) IS NOT TRUE THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be a number from ' || low || ' to ' || high || '.');
    END IF;
    RETURN sql_number(value);
END
$$;

CREATE OR REPLACE FUNCTION sql_boolean(what text, key text, value text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value NOT IN ('true', 'false') THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be true or false.');
    END IF;
    RETURN value;
END
$$;

-- The elements of a JSON array, each as JSON.
CREATE OR REPLACE FUNCTION sql_elements(what text, key text, value text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF left(value, 1) <> '[' THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || left(value, 60), key, 'It must be an array.');
    END IF;
    RETURN ARRAY(SELECT e.value::text FROM json_array_elements(value::json) WITH ORDINALITY AS e (value, place) ORDER BY e.place);
END
$$;

CREATE OR REPLACE FUNCTION sql_strings(what text, key text, value text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT ARRAY(
        SELECT sql_text(what, key || '[' || (e.place - 1) || ']', e.one)
        FROM unnest(sql_elements(what, key, value)) WITH ORDINALITY AS e (one, place)
        ORDER BY e.place
    ));
END
$$;

CREATE OR REPLACE FUNCTION sql_id(what text, key text, value text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given text := sql_text(what, key, value);
BEGIN
    IF given !~* '^([0-9a-f]{32}|(urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[{][0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[}])$' THEN
        PERFORM sql_refuse(
            '22023', what || key || ': "' || left(given, 60) || '" is not a UUID', key,
            'A name of your own, such as an order''s number, is no id: give it as the idempotency_key, and each dispatch with that key answers with the same execution''s id.'
        );
    END IF;
    RETURN regexp_replace(given, '^urn:uuid:', '', 'i');
END
$$;

-- The members of an object, values as they are written.
CREATE OR REPLACE FUNCTION sql_escaped_members(given text, OUT names text[], OUT given_values text[])
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    token text;
    depth int := 0;
    value text[];
BEGIN
    names := '{}';
    given_values := '{}';
    FOR token IN
        SELECT m.token[1]
        FROM regexp_matches(given, E'"(?:[^"\\\\]|\\\\.)*"|[][{}:,]|[ \\t\\n\\r]+|[^][{}:," \\t\\n\\r]+', 'g') WITH ORDINALITY AS m (token, place)
        ORDER BY m.place
    LOOP
        IF token IN ('}', ']') THEN
            depth := depth - 1;
        END IF;
        IF depth = 1 AND token = ':' AND value IS NULL THEN
            value := '{}';
        ELSIF depth = 1 AND token = ',' OR depth = 0 AND token = '}' THEN
            IF value IS NOT NULL THEN
                given_values := array_append(given_values, btrim(array_to_string(value, ''), E' \t\n\r'));
            END IF;
            value := NULL;
        ELSIF value IS NOT NULL THEN
            value := array_append(value, token);
        ELSIF left(token, 1) = '"' THEN
            -- An option's name has no character beyond ASCII; what has is told as it is written.
            names := array_append(names, convert_from(sql_unescaped(substr(token, 2, length(token) - 2)), 'UTF8'));
        END IF;
        IF token IN ('{', '[') THEN
            depth := depth + 1;
        END IF;
    END LOOP;
END
$$;

-- The members of an object of options, each of which is known and given once.
CREATE OR REPLACE FUNCTION sql_members(what text, known text[], given text, OUT names text[], OUT given_values text[])
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    key text;
BEGIN
    IF left(given, 1) <> '{' THEN
        PERFORM sql_refuse('22023', what || ' are ' || left(given, 60), NULL, 'They must be an object.');
    END IF;
    IF strpos(given, E'\\u') = 0 THEN
        SELECT coalesce(array_agg(m.key ORDER BY m.place), '{}'), coalesce(array_agg(m.value::text ORDER BY m.place), '{}')
        INTO names, given_values
        FROM json_each(given::json) WITH ORDINALITY AS m (key, value, place);
    ELSE
        -- The server's function reads escapes also where they are a value's, and fails on those that no text can hold.
        SELECT m.names, m.given_values INTO names, given_values FROM sql_escaped_members(given) AS m;
    END IF;
    FOR place IN 1 .. cardinality(names) LOOP
        key := names[place];
        IF array_position(known, key) IS NULL THEN
            PERFORM sql_refuse('22023', what || ': there is no "' || left(key, 60) || '"', left(key, 60), 'Known are ' || array_to_string(known, ', ') || '.');
        END IF;
        IF array_position(names, key) < place THEN
            PERFORM sql_refuse('22023', what || ': ' || key || ' is given twice', key, 'Give it once.');
        END IF;
    END LOOP;
END
$$;

-- Seconds as JSON has them.
CREATE OR REPLACE FUNCTION sql_real(value float8) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN value || CASE WHEN value::text ~ '[.e]' THEN '' ELSE '.0' END;
END
$$;

-- A retry policy in the form in which tasks have it: all of its fields, in their order.
CREATE OR REPLACE FUNCTION sql_policy(what text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known text[] := {retry_policy_names};
    kinds text[] := {retry_policy_kinds};
    defaults text[] := {retry_policy_defaults};
    names text[];
    given_values text[];
    field text;
    one text;
    forms text[] := '{}';
    at int;
BEGIN
    IF left(value, 1) <> '{' THEN
        PERFORM sql_refuse('22023', what || 'retry_policy is ' || left(value, 60), 'retry_policy', 'It must be an object.');
    END IF;
    SELECT m.names, m.given_values INTO names, given_values FROM sql_members(what || 'retry_policy', known, value) AS m;
    FOR place IN 1 .. cardinality(known) LOOP
        field := 'retry_policy.' || known[place];
        at := array_position(names, known[place]);
        one := coalesce(given_values[at], defaults[place]);
        IF one = 'null' AND defaults[place] <> 'null' THEN
            PERFORM sql_refuse('22023', what || field || ' is null', known[place], 'Leave it out for ' || defaults[place] || '.');
        END IF;
        IF one <> 'null' THEN
            CASE kinds[place]
            WHEN 'integer' THEN
                one := sql_integer(what, field, one, 1, 4294967295);
            WHEN 'number' THEN
                IF one !~ '^[-0-9]' OR sql_number(one) IS NULL OR sql_number(one) < 0
                    OR known[place] = 'jitter' AND sql_number(one) > 1
                THEN
                    PERFORM sql_refuse(
                        '22023', what || field || ' is ' || left(one, 60), known[place],
                        'It must be a number ' || CASE known[place] WHEN 'jitter' THEN 'between 0 and 1.' ELSE 'of 0 or more.' END
                    );
                END IF;
                one := sql_real(sql_number(one));
            WHEN 'boolean' THEN
                one := sql_boolean(what, field, one);
            WHEN 'duration' THEN
                one := sql_real(sql_duration(what, field, one) / 1e6::float8);
            WHEN 'string[]' THEN
                one := '[' || array_to_string(ARRAY(
                    SELECT to_json(w.word)::text FROM unnest(sql_strings(what, field, one)) WITH ORDINALITY AS w (word, place)
                    ORDER BY w.place
                ), ',') || ']';
            WHEN 'duration[]' THEN
                IF cardinality(sql_elements(what, field, one)) > 1000 THEN
                    PERFORM sql_refuse('22023', what || field || ' is a list of ' || cardinality(sql_elements(what, field, one)), known[place], 'At most 1000; the last repeats.');
                END IF;
                one := '[' || array_to_string(ARRAY(
                    SELECT sql_real(sql_duration(what, field, e.one) / 1e6::float8)
                    FROM unnest(sql_elements(what, field, one)) WITH ORDINALITY AS e (one, place)
                    ORDER BY e.place
                ), ',') || ']';
            ELSE
                PERFORM sql_refuse('0A000', what || field || ' can''t be given here', known[place], 'Dispatch by the library.');
            END CASE;
        END IF;
        forms := array_append(forms, '"' || known[place] || '":' || one);
    END LOOP;
    -- delays are a list, or they grow
    FOREACH field IN ARRAY ARRAY['backoff_factor', 'initial_delay', 'max_delay'] LOOP
        IF '"delays":[]' <> ALL(forms)
            AND '"' || field || '":' || sql_real(defaults[array_position(known, field)]::float8) <> ALL(forms)
        THEN
            PERFORM sql_refuse(
                '22023', what || 'retry_policy has delays and ' || field, field, 'Give the delays one by one, or how they grow.'
            );
        END IF;
    END LOOP;
    RETURN '{' || array_to_string(forms, ',') || '}';
END
$$;

-- Whose a task is: a queue is shared out from its first task with a key on, which a route of no function says; and then those
-- without one have the empty key.
CREATE OR REPLACE FUNCTION sql_share_key(to_queue text, given text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF given IS NOT NULL THEN
        PERFORM sql_route(to_queue, '', NULL);
        RETURN given;
    END IF;
    RETURN (
        SELECT '' FROM routes AS r
        WHERE r.function = '' AND coalesce(r.queue, '') = coalesce(to_queue, '') AND coalesce(r.tags, '') = ''
    );
END
$$;
