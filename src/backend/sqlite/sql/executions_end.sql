-- one that cleans up ends as what it was coming to, when nobody holds a lease in it
UPDATE executions
SET state = CASE WHEN executions.ending IS NULL THEN b.state ELSE 'cancelling' END,
    result = b.result,
    error = b.error,
    retries = b.retries,
    completed_at = CASE WHEN executions.ending IS NULL THEN ?3 END
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
RETURNING id, state
