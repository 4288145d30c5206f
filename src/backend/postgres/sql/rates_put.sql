INSERT INTO rates (kind, name, full_at, due_at)
SELECT $4, b.name, b.full_at, b.due_at
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS b (name, full_at, due_at)
ON CONFLICT (kind, name) DO UPDATE SET full_at = excluded.full_at, due_at = excluded.due_at
