SELECT count(*) AS count
FROM (SELECT 1 FROM dead_letters AS d WHERE d.moved_at < ?1 LIMIT ?2) AS o
