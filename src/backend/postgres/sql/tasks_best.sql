-- of each lane so many, of all of them together so many
SELECT t.lane, t.priority, t.created_at, t.id
FROM unnest($1::bigint[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT c.lane, c.priority, c.created_at, c.id
    FROM tasks AS c
    WHERE c.lane = l.lane
        AND (SELECT e.state FROM executions AS e WHERE e.id = c.execution_id) IN ('pending', 'running')
    ORDER BY c.priority DESC, c.created_at, c.id
    LIMIT $2::bigint
) AS t
ORDER BY t.priority DESC, t.created_at, t.id
LIMIT $3::bigint
