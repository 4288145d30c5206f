CREATE TABLE stent_schema (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL)
