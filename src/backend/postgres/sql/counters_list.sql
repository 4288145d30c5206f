SELECT name, whole, fraction FROM execution_counters WHERE execution_id = $1 ORDER BY name COLLATE "C"
