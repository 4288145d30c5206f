UPDATE schedule_ticks
SET state = 'skipped', decided_at = $2
WHERE schedule = ANY($1::text[]) AND state = 'waiting'
