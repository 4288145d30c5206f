INSERT INTO execution_counters (execution_id, name, whole, fraction) VALUES ($1, $2, $3, $4)
ON CONFLICT (execution_id, name) DO NOTHING
