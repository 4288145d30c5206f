INSERT INTO execution_state (execution_id, key, value)
SELECT DISTINCT ON (b.execution_id, b.key) b.execution_id, b.key, b.value
FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY AS b (execution_id, key, value, position)
ORDER BY b.execution_id, b.key, b.position DESC
ON CONFLICT (execution_id, key) DO UPDATE SET value = excluded.value
