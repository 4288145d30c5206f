package stent

// Working are the workers that nobody has told to end.
func Working() []*Worker {
	workers := []*Worker{}
	working.Range(func(worker, _ any) bool {
		workers = append(workers, worker.(*Worker))
		return true
	})
	return workers
}

// Respelled is what is told to who has written options as a struct.
var Respelled = respelled
