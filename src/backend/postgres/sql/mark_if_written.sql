-- only if this transaction has written something
INSERT INTO marks (token, expires_at) SELECT $1, $2 WHERE pg_current_xact_id_if_assigned() IS NOT NULL
