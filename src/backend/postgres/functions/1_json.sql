-- JSON as the library reads it: as text, of which no digit is lost. None of these touches a table.

-- The kind of an error is its SQLSTATE, and its name in the C API the detail; the column is the option that is wrong.
CREATE OR REPLACE FUNCTION sql_refuse(state text, told text, key text DEFAULT NULL, help text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE state
        WHEN '22023' THEN 'STENT_E_INVALID' WHEN '25P01' THEN 'STENT_E_INVALID' WHEN 'P0002' THEN 'STENT_E_NOT_FOUND' WHEN '0A000' THEN 'STENT_E_UNSUPPORTED'
        WHEN '55006' THEN 'STENT_E_LEASE_LOST' WHEN '57014' THEN 'STENT_E_CANCELLED'
        ELSE 'STENT_E_CONFLICT'
    END;
BEGIN
    IF help IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = told, DETAIL = kind, COLUMN = coalesce(key, '');
    END IF;
    RAISE EXCEPTION USING ERRCODE = state, MESSAGE = told, DETAIL = kind, HINT = help, COLUMN = coalesce(key, '');
END
$$;

-- A name: not empty, not long, no control characters. By its bytes in UTF-8, whatever the database's encoding.
CREATE OR REPLACE FUNCTION sql_name(what text, key text, given text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    bytes bytea := convert_to(given, 'UTF8');
BEGIN
    IF given IS NULL OR given = '' THEN
        PERFORM sql_refuse('22023', what || key || CASE WHEN given = '' THEN ' is empty' ELSE ' is null' END, key, 'Give it a name.');
    END IF;
    IF octet_length(bytes) > {name_max} THEN
        PERFORM sql_refuse('22023', what || key || ' is ' || octet_length(bytes) || ' bytes long', key, 'At most {name_max} are allowed.');
    END IF;
    IF encode(bytes, 'hex') ~ '^(?:..)*(?:[01].|7f|c2[89].)' THEN
        PERFORM sql_refuse('22023', what || key || ' has a control character in it', key, 'A name has none.');
    END IF;
END
$$;

-- A character's bytes in UTF-8.
CREATE OR REPLACE FUNCTION sql_utf8(code bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN decode(
        CASE
            WHEN code < 128 THEN lpad(to_hex(code), 2, '0')
            WHEN code < 2048 THEN to_hex(49280 + ((code & 1984) << 2) + (code & 63))
            WHEN code < 65536 THEN to_hex(14712960 + ((code & 61440) << 4) + ((code & 4032) << 2) + (code & 63))
            ELSE to_hex(4034953344 + ((code & 1835008) << 6) + ((code & 258048) << 4) + ((code & 4032) << 2) + (code & 63))
        END, 'hex'
    );
END
$$;

-- The tokens of a text that is JSON.
CREATE OR REPLACE FUNCTION sql_tokens(given text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT array_agg(m.token[1] ORDER BY m.place)
    FROM regexp_matches(given, E'"(?:[^"\\\\]|\\\\.)*"|[][{}:,]|[^][{}:," \\t\\n\\r]+', 'g') WITH ORDINALITY AS m (token, place));
END
$$;

-- What is between a JSON string's quotes, by its value, in UTF-8: escapes only where JSON demands them, and for half a
-- surrogate pair.
CREATE OR REPLACE FUNCTION sql_unescaped(inner_text text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF strpos(inner_text, E'\\') = 0 THEN
        RETURN convert_to(inner_text, 'UTF8');
    END IF;
    -- The pieces are joined once: a text may have a great many.
    RETURN (
        SELECT string_agg(
            CASE
                WHEN p.code IS NULL THEN convert_to(p.piece, 'UTF8')
                WHEN p.code = 34 THEN '\x5c22'::bytea
                WHEN p.code = 92 THEN '\x5c5c'::bytea
                WHEN p.code < 32 OR p.code BETWEEN 55296 AND 57343 THEN convert_to(E'\\u' || lpad(to_hex(p.code), 4, '0'), 'UTF8')
                ELSE sql_utf8(p.code)
            END, ''::bytea ORDER BY p.place
        )
        FROM (
            SELECT
                m.place,
                m.piece[1] AS piece,
                CASE
                    WHEN left(m.piece[1], 1) <> E'\\' THEN NULL
                    WHEN length(m.piece[1]) = 12 THEN 65536 + ((('x' || substr(m.piece[1], 3, 4))::bit(16)::int - 55296) << 10)
                        + ('x' || substr(m.piece[1], 9, 4))::bit(16)::int - 56320
                    WHEN length(m.piece[1]) = 6 THEN ('x' || substr(m.piece[1], 3, 4))::bit(16)::int
                    ELSE CASE substr(m.piece[1], 2)
                        WHEN 'b' THEN 8 WHEN 'f' THEN 12 WHEN 'n' THEN 10 WHEN 'r' THEN 13 WHEN 't' THEN 9
                        ELSE ascii(substr(m.piece[1], 2))
                    END
                END AS code
            FROM regexp_matches(
                inner_text,
                E'[^\\\\]+|\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\\\u[0-9a-fA-F]{4}|\\\\.', 'g'
            ) WITH ORDINALITY AS m (piece, place)
            OFFSET 0
        ) AS p
    );
END
$$;

-- Canonical JSON: sorted keys, no white space, numbers as written, the last of equal keys. It does not recurse.
CREATE OR REPLACE FUNCTION sql_canonical(given text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    token text;
    value bytea;
    awaits_key boolean := false;
    -- open containers: what opens each, where its members begin, the key whose value comes next
    kinds text[] := '{}';
    begins int[] := '{}';
    pending bytea[] := '{}';
    depth int := 0;
    -- the members of all open containers
    names bytea[] := '{}';
    parts bytea[] := '{}';
    count int := 0;
    own_names bytea[];
    own bytea[];
BEGIN
    FOREACH token IN ARRAY sql_tokens(given) LOOP
        CASE left(token, 1)
        WHEN ',' THEN
            awaits_key := kinds[depth] = '{';
            CONTINUE;
        WHEN ':' THEN
            CONTINUE;
        WHEN '{', '[' THEN
            depth := depth + 1;
            kinds[depth] := token;
            begins[depth] := count;
            awaits_key := token = '{';
            CONTINUE;
        WHEN '}', ']' THEN
            own := '{}';
            own_names := '{}';
            FOR place IN begins[depth] + 1 .. count LOOP
                own := array_append(own, parts[place]);
                own_names := array_append(own_names, names[place]);
            END LOOP;
            IF token = ']' THEN
                SELECT '['::bytea || coalesce(string_agg(m.part, ','::bytea ORDER BY m.place), '') || ']'::bytea INTO value
                FROM unnest(own) WITH ORDINALITY AS m (part, place);
            ELSE
                SELECT '{'::bytea || coalesce(string_agg('"'::bytea || m.name || '":'::bytea || m.part, ','::bytea ORDER BY m.name), '') || '}'::bytea
                INTO value
                FROM (
                    SELECT DISTINCT ON (a.name) a.name, a.part
                    FROM unnest(own_names, own) WITH ORDINALITY AS a (name, part, place)
                    ORDER BY a.name, a.place DESC
                ) AS m;
            END IF;
            count := begins[depth];
            depth := depth - 1;
        WHEN '"' THEN
            value := sql_unescaped(substr(token, 2, length(token) - 2));
            IF awaits_key THEN
                pending[depth] := value;
                awaits_key := false;
                CONTINUE;
            END IF;
            value := '"'::bytea || value || '"'::bytea;
        ELSE
            value := convert_to(token, 'UTF8');
        END CASE;
        IF depth = 0 THEN
            RETURN value;
        END IF;
        count := count + 1;
        parts[count] := value;
        names[count] := pending[depth];
    END LOOP;
    RETURN NULL;
END
$$;

-- The hash of arguments by which one use of an idempotency key is told from another, and a cached result is found.
CREATE OR REPLACE FUNCTION sql_hash(args text, kwargs text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT sha256(string_agg('j'::bytea || int8send(octet_length(c.form)) || c.form, '' ORDER BY c.place))
    FROM (VALUES (1, sql_canonical(args)), (2, sql_canonical(kwargs))) AS c (place, form));
END
$$;

-- Is this base64, with its padding, as no other text says the same bytes?
CREATE OR REPLACE FUNCTION sql_is_base64(value bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN encode(value, 'escape') ~ '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$';
END
$$;

-- One JSON value, without white space around it, that has no bytes in it which nobody could read: {"$base64": "..."}.
CREATE OR REPLACE FUNCTION sql_json(what text, key text, given text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    why text;
    json_text text := btrim(given, E' \t\n\r');
    tokens text[];
    wraps boolean;
    in_another boolean := false;
BEGIN
    IF json_text = '' THEN
        PERFORM sql_refuse('22023', what || ': the text is empty', key, 'It must be JSON.');
    END IF;
    BEGIN
        PERFORM json_text::json;
    EXCEPTION WHEN invalid_text_representation THEN
        GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
        PERFORM sql_refuse('22023', what || ': this is not JSON: ' || left(why, 200), key, 'Give JSON, such as [1, "two"].');
    END;
    IF octet_length(convert_to(json_text, 'UTF8')) > {payload_max} THEN
        PERFORM sql_refuse('22023', what || ' is ' || octet_length(convert_to(json_text, 'UTF8')) || ' bytes long', key, 'At most {payload_max} are allowed.');
    END IF;
    -- Almost no value has the key in it, in plain letters or with escapes.
    IF strpos(json_text, '$base64') = 0 AND strpos(json_text, E'\\u') = 0 THEN
        RETURN json_text;
    END IF;
    tokens := sql_tokens(json_text);
    FOR place IN 1 .. array_length(tokens, 1) LOOP
        CONTINUE WHEN tokens[place] <> '{';
        wraps := left(tokens[place + 1], 1) = '"'
            AND sql_unescaped(substr(tokens[place + 1], 2, length(tokens[place + 1]) - 2)) = '$base64'::bytea;
        IF wraps AND NOT in_another AND left(tokens[place + 3], 1) = '"' AND tokens[place + 4] = '}'
            AND NOT sql_is_base64(sql_unescaped(substr(tokens[place + 3], 2, length(tokens[place + 3]) - 2)))
        THEN
            PERFORM sql_refuse('22023', what || ': the value of "$base64" is not base64', key);
        END IF;
        in_another := wraps AND tokens[place + 3] = '{';
    END LOOP;
    RETURN json_text;
END
$$;

-- The bytes of {"$base64": "..."}, if the value is that.
CREATE OR REPLACE FUNCTION sql_wrapped(json_text text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    tokens text[];
BEGIN
    IF left(json_text, 1) <> '{' OR strpos(json_text, '$base64') = 0 AND strpos(json_text, E'\\u') = 0 THEN
        RETURN NULL;
    END IF;
    tokens := sql_tokens(json_text);
    IF array_length(tokens, 1) <> 5 OR left(tokens[4], 1) <> '"'
        OR sql_unescaped(substr(tokens[2], 2, length(tokens[2]) - 2)) <> '$base64'::bytea
    THEN
        RETURN NULL;
    END IF;
    RETURN decode(convert_from(sql_unescaped(substr(tokens[4], 2, length(tokens[4]) - 2)), 'SQL_ASCII'), 'base64');
END
$$;

-- The bytes that a value stands for. Bytes that are JSON themselves stay in their form, so that they come out as bytes.
CREATE OR REPLACE FUNCTION sql_payload(json_text text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    held bytea := sql_wrapped(json_text);
BEGIN
    IF held IS NULL THEN
        RETURN convert_to(json_text, 'UTF8');
    END IF;
    BEGIN
        PERFORM convert_from(held, 'UTF8')::json;
    EXCEPTION WHEN invalid_text_representation OR character_not_in_repertoire OR untranslatable_character THEN
        RETURN held;
    END;
    RETURN convert_to('{"$base64":"' || replace(encode(held, 'base64'), E'\n', '') || '"}', 'UTF8');
END
$$;

-- A text as the tables hold it: what the database has no character for, and DEL, is written as DEL, its number and a
-- semicolon.
CREATE OR REPLACE FUNCTION sql_stored(given text) RETURNS text LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    one text;
    bytes bytea;
    code int;
    stored text := '';
BEGIN
    IF getdatabaseencoding() IN ('UTF8', 'SQL_ASCII', 'LATIN1') OR given !~ E'[^\u0001-\u007e]' THEN
        RETURN replace(given, chr(127), chr(127) || '7f;');
    END IF;
    -- Of other encodings the library knows ASCII.
    FOREACH one IN ARRAY regexp_split_to_array(given, '') LOOP
        bytes := convert_to(one, 'UTF8');
        code := get_byte(bytes, 0);
        CASE octet_length(bytes)
        WHEN 1 THEN
            stored := stored || CASE WHEN code < 127 THEN one ELSE chr(127) || '7f;' END;
            CONTINUE;
        WHEN 2 THEN
            code := code & 31;
        WHEN 3 THEN
            code := code & 15;
        ELSE
            code := code & 7;
        END CASE;
        FOR place IN 1 .. octet_length(bytes) - 1 LOOP
            code := code * 64 + (get_byte(bytes, place) & 63);
        END LOOP;
        stored := stored || chr(127) || to_hex(code) || ';';
    END LOOP;
    RETURN stored;
END
$$;
