INSERT INTO unique_earlier (key, execution_id, dispatched_at)
SELECT u.key, u.execution_id, u.dispatched_at FROM unique_keys AS u WHERE u.key = $1
