SELECT bool_and(pg_try_advisory_xact_lock(k.key)) AS taken FROM unnest($1::bigint[]) AS k (key)
