INSERT INTO marks (token, expires_at) VALUES ($1, $2)
ON CONFLICT (token) DO NOTHING
