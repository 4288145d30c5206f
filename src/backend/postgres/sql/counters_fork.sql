INSERT INTO execution_counters (execution_id, name, whole, fraction)
SELECT $2, name, whole, fraction FROM execution_counters WHERE execution_id = $1
