DELETE FROM tasks WHERE id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1))
