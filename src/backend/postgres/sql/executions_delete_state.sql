DELETE FROM execution_state WHERE execution_id = ANY($1::uuid[])
