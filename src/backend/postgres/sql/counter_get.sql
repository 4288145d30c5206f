SELECT whole, fraction FROM execution_counters WHERE execution_id = $1 AND name = $2 FOR UPDATE
