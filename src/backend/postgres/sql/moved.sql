SELECT execution_id, place
FROM moves
WHERE execution_id = ANY($1::uuid[]) AND place <> 'here'
