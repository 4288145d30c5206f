UPDATE tasks SET state = 'pending', lane = route, readied = txid_current(), due_at = NULL, joins = NULL WHERE id = $1 AND state = 'waiting'
