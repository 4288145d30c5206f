DELETE FROM execution_counters WHERE execution_id = ANY($1::uuid[])
