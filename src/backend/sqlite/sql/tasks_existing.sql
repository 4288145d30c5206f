SELECT t.id
FROM jsonb_each(?1) AS b
JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
