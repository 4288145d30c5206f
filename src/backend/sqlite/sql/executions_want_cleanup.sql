UPDATE executions
SET cleanup = b.cleanup
FROM (SELECT substr(?2, value ->> 0, 16) AS id, value ->> 1 AS cleanup FROM jsonb_each(?1)) AS b
WHERE executions.id = b.id AND executions.cleanup IS NULL
