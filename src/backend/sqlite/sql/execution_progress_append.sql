INSERT INTO execution_progress (execution_id, step, status, started_at, completed_at, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
