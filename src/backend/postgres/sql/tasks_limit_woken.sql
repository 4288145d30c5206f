UPDATE tasks SET lane = route, readied = txid_current(), due_at = NULL
WHERE id = ANY(ARRAY(SELECT t.id FROM tasks AS t WHERE t.lane < 0 AND t.step_name = $1 FOR NO KEY UPDATE SKIP LOCKED))
