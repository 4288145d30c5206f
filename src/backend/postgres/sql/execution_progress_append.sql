INSERT INTO execution_progress (execution_id, step, status, started_at, completed_at, detail)
SELECT b.execution_id, b.step, b.status, b.started_at, b.completed_at, b.detail
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bytea[])
    WITH ORDINALITY AS b (execution_id, step, status, started_at, completed_at, detail, position)
ORDER BY b.position
