SELECT task_id FROM unfinished_trees LIMIT 100
