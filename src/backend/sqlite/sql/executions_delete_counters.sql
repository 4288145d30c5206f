DELETE FROM execution_counters WHERE execution_id = ?1
