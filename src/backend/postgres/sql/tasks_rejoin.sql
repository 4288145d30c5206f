UPDATE tasks SET joins = $2 WHERE joins = $1
