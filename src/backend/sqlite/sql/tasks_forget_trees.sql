DELETE FROM unfinished_trees WHERE task_id = ?1
