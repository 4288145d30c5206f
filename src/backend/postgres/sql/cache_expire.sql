DELETE FROM cache WHERE key IN (SELECT k.key FROM cache AS k WHERE k.expires_at <= $1 ORDER BY k.expires_at LIMIT $2)
