DELETE FROM tasks WHERE id = ANY($1::uuid[]) AND kind <> 'activity'
