UPDATE execution_counters SET value = coalesce(?3, ?4) WHERE execution_id = ?1 AND name = ?2
