-- again: its beginning stays
INSERT INTO pauses (kind, name, since, reason, author) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, name) DO UPDATE SET reason = excluded.reason, author = excluded.author
