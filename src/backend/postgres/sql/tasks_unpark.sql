UPDATE tasks
SET state = 'pending', lane = $3, parked = NULL, parked_version = NULL, error = NULL
WHERE id = ANY(
    ARRAY(
        SELECT t.id
        FROM unnest($1::text[], $2::text[]) AS b (name, version)
        JOIN tasks AS t ON t.step_name = b.name AND t.parked IS NOT NULL
        WHERE t.state = 'waiting' AND t.parked_version IS DISTINCT FROM b.version
        LIMIT $4
        FOR UPDATE OF t SKIP LOCKED
    )
)
