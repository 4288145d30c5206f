DELETE FROM tasks WHERE id = ?1 AND kind <> 'activity'
