INSERT INTO rates (kind, name, full_at, rate) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, name) DO UPDATE SET rate = excluded.rate
