SELECT r.name, r.full_at, r.due_at FROM rates AS r WHERE r.kind = $1 AND r.name = ANY($2::text[])
