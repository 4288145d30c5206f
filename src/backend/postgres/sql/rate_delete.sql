DELETE FROM rates WHERE kind = $1 AND name = $2
