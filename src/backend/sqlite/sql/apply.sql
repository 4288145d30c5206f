-- adds no row: what is asked for is done, or undone, as a part of this statement
INSERT INTO main.stent_schema (version, applied_at) SELECT 0, '' WHERE stent_apply(?1)
