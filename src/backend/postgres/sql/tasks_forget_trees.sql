DELETE FROM unfinished_trees WHERE task_id = ANY($1::uuid[])
