SELECT t.id
FROM tasks AS t
WHERE t.id = ?1
