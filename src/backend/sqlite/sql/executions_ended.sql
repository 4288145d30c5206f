-- one that is not there is over
SELECT ?1 AS id
WHERE ifnull(
    (SELECT e.state FROM executions AS e WHERE e.id = ?1) IN ('completed', 'failed', 'timed_out', 'cancelled'), true
)
