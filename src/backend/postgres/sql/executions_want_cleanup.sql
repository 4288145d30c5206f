UPDATE executions
SET cleanup = b.cleanup
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, cleanup)
WHERE executions.id = ANY (ARRAY[b.id]) AND executions.cleanup IS NULL
