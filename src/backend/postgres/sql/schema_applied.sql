INSERT INTO stent_schema (version, applied_at) VALUES ($1, now())
