SELECT max(version) AS version FROM stent_schema
