SELECT sequence, execution_id, kind, name, id, reason, payload FROM requests ORDER BY sequence LIMIT $1
