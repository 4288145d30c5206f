INSERT INTO rates (kind, name, full_at, due_at) VALUES (?4, ?1, ?2, ?3)
ON CONFLICT (kind, name) DO UPDATE SET full_at = excluded.full_at, due_at = excluded.due_at
