INSERT INTO routes (queue, function, tags) VALUES (?1, ?2, ?3) RETURNING id
