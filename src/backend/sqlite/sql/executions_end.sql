UPDATE executions
SET state = b.state, result = b.result, error = b.error, retries = b.retries, completed_at = ?3
FROM (
    SELECT
        substr(?2, value ->> 0, 16) AS id,
        CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT) AS state,
        substr(?2, value ->> 3, value ->> 4) AS result,
        substr(?2, value ->> 5, value ->> 6) AS error,
        value ->> 7 AS retries
    FROM jsonb_each(?1)
) AS b
WHERE executions.id = b.id AND executions.state IN ('pending', 'running')
