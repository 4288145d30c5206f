SELECT EXISTS (SELECT 1 FROM signals WHERE sequence = $1 AND execution_id = $2) AS found
