UPDATE execution_counters SET whole = $3, fraction = $4 WHERE execution_id = $1 AND name = $2
