-- one that is not there counts too
SELECT ?1 AS id
WHERE ifnull((SELECT e.state FROM executions AS e WHERE e.id = ?1) NOT IN ('pending', 'running'), true)
