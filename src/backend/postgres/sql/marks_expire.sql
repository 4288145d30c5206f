DELETE FROM marks
WHERE token = ANY(ARRAY(SELECT m.token FROM marks AS m WHERE m.expires_at <= $1 ORDER BY m.expires_at LIMIT $2))
