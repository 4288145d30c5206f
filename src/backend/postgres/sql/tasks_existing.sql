SELECT t.id
FROM unnest($1::uuid[]) WITH ORDINALITY AS b (id, position)
JOIN tasks AS t ON t.id = b.id
ORDER BY b.position
LIMIT 1
