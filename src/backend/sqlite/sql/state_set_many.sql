INSERT INTO execution_state (execution_id, key, value)
VALUES (?1, ?2, ?3)
ON CONFLICT (execution_id, key) DO UPDATE SET value = excluded.value
