INSERT INTO moves (execution_id, number, place, function, moved_at, document)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (execution_id) DO UPDATE SET
    number = excluded.number, place = excluded.place, moved_at = excluded.moved_at, document = excluded.document
