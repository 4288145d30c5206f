SELECT number, place, function, moved_at, document
FROM moves
WHERE execution_id = $1
FOR UPDATE
