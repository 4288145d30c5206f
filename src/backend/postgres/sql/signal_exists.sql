SELECT EXISTS (SELECT 1 FROM signals WHERE execution_id = $1 AND name = $2 AND id = $3) AS found
