SELECT sequence FROM requests WHERE execution_id = $1 LIMIT 1
