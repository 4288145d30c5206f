-- what others hold they make longer
DELETE FROM holds AS o
USING (
    SELECT h.function, h.concurrency_key FROM holds AS h
    WHERE h.ends_at <= $1::timestamptz
    LIMIT $2
    FOR UPDATE SKIP LOCKED
) AS over
WHERE o.function = over.function AND o.concurrency_key = over.concurrency_key
RETURNING o.function, o.concurrency_key
