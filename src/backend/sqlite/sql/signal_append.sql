INSERT INTO signals (execution_id, name, id, payload, created_at, consumed, consumed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (execution_id, name, id) WHERE id IS NOT NULL DO NOTHING
RETURNING sequence
