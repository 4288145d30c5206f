SELECT name FROM schedules WHERE owner = $1 ORDER BY name
