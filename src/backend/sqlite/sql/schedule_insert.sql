INSERT INTO schedules (name, owner, function, document, next_at, due_at, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (name) DO NOTHING
