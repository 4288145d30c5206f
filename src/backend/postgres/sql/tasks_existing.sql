SELECT t.id
FROM unnest($1::uuid[]) AS b (id)
JOIN tasks AS t ON t.id = b.id
