INSERT INTO routes (queue, function, tags) VALUES ($1, $2, $3)
ON CONFLICT (function, coalesce(queue, ''), coalesce(tags, '')) DO NOTHING
RETURNING id
