DELETE FROM requests WHERE sequence = ANY($1::bigint[])
