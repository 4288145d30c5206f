SELECT number, worker_id FROM workers
