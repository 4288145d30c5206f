UPDATE workers SET seen_at = $2 WHERE worker_id = $1
