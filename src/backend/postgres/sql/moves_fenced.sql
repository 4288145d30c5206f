SELECT execution_id, function, number, moved_at, octet_length(document)::bigint AS bytes
FROM moves
WHERE place = 'fenced'
ORDER BY moved_at, execution_id
LIMIT $1
