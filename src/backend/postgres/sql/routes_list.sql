SELECT id, queue, function, tags FROM routes
