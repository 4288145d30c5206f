SELECT step, status, started_at, completed_at, detail FROM execution_progress WHERE execution_id = $1 ORDER BY sequence
