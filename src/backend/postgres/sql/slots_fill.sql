INSERT INTO slots_to_fill (function, concurrency_key)
SELECT b.function, b.concurrency_key FROM unnest($1::text[], $2::text[]) AS b (function, concurrency_key)
