UPDATE tasks SET state = 'pending', lane = route, readied = txid_current(), parked = NULL, parked_version = NULL, error = NULL
WHERE id = $1 AND state = 'waiting' AND parked IS NOT NULL
