INSERT INTO execution_progress (execution_id, step, status, started_at, completed_at, detail)
SELECT $2, step, status, started_at, completed_at, detail FROM execution_progress WHERE execution_id = $1 ORDER BY sequence
