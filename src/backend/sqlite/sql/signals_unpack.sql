INSERT INTO signals (execution_id, name, id, payload, created_at, consumed, consumed_at, consumed_by)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
