-- in the order of creation, as an index has it that an end does not change; what ended before it was created is in one of
-- its own. The second column is where the next batch begins: executions before it were looked at by this one
SELECT o.id, o.place AS completed_at
FROM (
    SELECT c.id, c.place
    FROM (
        SELECT e.id, e.created_at AS place
        FROM executions AS e
        WHERE e.created_at < $1
            AND e.created_at >= coalesce($2::timestamptz, '-infinity')
            AND e.completed_at < $1
            AND e.ended_before IS NULL
            AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
            AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM unique_keys AS u WHERE u.execution_id = e.id AND u.window_ends_at > $4)
        ORDER BY e.created_at
        LIMIT $3
        FOR UPDATE OF e SKIP LOCKED
    ) AS c
    UNION ALL
    SELECT b.id, b.place
    FROM (
        SELECT e.id, e.ended_before AS place
        FROM executions AS e
        WHERE e.ended_before < $1
            AND e.ended_before >= coalesce($2::timestamptz, '-infinity')
            AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
            AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM unique_keys AS u WHERE u.execution_id = e.id AND u.window_ends_at > $4)
        ORDER BY e.ended_before
        LIMIT $3
        FOR UPDATE OF e SKIP LOCKED
    ) AS b
) AS o
ORDER BY o.place, o.id
LIMIT $3
