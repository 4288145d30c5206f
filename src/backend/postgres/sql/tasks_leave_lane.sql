-- what others hold has a time at which it leaves the lane by itself
UPDATE tasks SET lane = route, readied = txid_current(), due_at = NULL
WHERE id = ANY(ARRAY(SELECT t.id FROM tasks AS t WHERE t.lane = $1 FOR NO KEY UPDATE SKIP LOCKED))
