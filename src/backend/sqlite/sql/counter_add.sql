-- integers that leave 64 bits go on as real numbers
INSERT INTO execution_counters (execution_id, name, value) VALUES (?1, ?2, coalesce(?3, ?4))
ON CONFLICT (execution_id, name) DO UPDATE SET value = value + excluded.value
