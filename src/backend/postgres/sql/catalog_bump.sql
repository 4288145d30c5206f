UPDATE catalog SET version = version + 1 RETURNING version
