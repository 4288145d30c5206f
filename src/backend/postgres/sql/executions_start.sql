-- skip locked rows: whoever locks an execution is about to end it
UPDATE executions
SET state = 'running', started_at = $2
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.id = ANY($1::uuid[]) AND e.state = 'pending'
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
