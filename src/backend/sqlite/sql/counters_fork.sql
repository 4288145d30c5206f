INSERT INTO execution_counters (execution_id, name, value)
SELECT ?2, name, value FROM execution_counters WHERE execution_id = ?1
