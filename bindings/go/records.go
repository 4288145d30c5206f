package stent

import (
	"encoding/json"
	"time"
)

// Execution is one run of a dispatched function, with everything it called.
type Execution struct {
	ID           string          `json:"id"`
	RootFunction string          `json:"root_function"`
	State        string          `json:"state"`
	Args         json.RawMessage `json:"args"`
	Kwargs       json.RawMessage `json:"kwargs"`
	Retries      int             `json:"retries"`
	CreatedAt    time.Time       `json:"created_at"`
	StartedAt    *time.Time      `json:"started_at"`
	CompletedAt  *time.Time      `json:"completed_at"`
	ExpiryAt     *time.Time      `json:"expiry_at"`
	Progress     []Progress      `json:"progress"`
	Tags         []string        `json:"tags"`
	Priority     int             `json:"priority"`
	Queue        string          `json:"queue"`
	Result       json.RawMessage `json:"result"`
	Failure      *Failure        `json:"error"`
	// Those below come with Executor.State and Executor.Wait.
	Counters     map[string]json.Number     `json:"counters"`
	StateValues  map[string]json.RawMessage `json:"state_values"`
	ReplayOf     string                     `json:"replay_of"`
	CancelReason string                     `json:"cancel_reason"`
}

// Progress is one line of what an execution tells of itself.
type Progress struct {
	Step        string          `json:"step"`
	Status      string          `json:"status"`
	StartedAt   *time.Time      `json:"started_at"`
	CompletedAt *time.Time      `json:"completed_at"`
	Detail      json.RawMessage `json:"detail"`
}

// TaskRecord is one call inside an execution, as the store has it.
type TaskRecord struct {
	ID           string          `json:"id"`
	ExecutionID  string          `json:"execution_id"`
	StepName     string          `json:"step_name"`
	StepKey      string          `json:"step_key"`
	Kind         string          `json:"kind"`
	ParentTaskID string          `json:"parent_task_id"`
	State        string          `json:"state"`
	Retries      int             `json:"retries"`
	WorkerID     string          `json:"worker_id"`
	Result       json.RawMessage `json:"result"`
	Failure      *Failure        `json:"error"`
}

// Pause is a queue or a function of which nothing is claimed; the other one is empty.
type Pause struct {
	Queue    string    `json:"queue"`
	Function string    `json:"function"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	// Tasks of it that workers still hold.
	Running int `json:"running"`
}

// DeadLetter is a task that used up its attempts.
type DeadLetter struct {
	Task    TaskRecord `json:"task"`
	Reason  string     `json:"reason"`
	MovedAt time.Time  `json:"moved_at"`
}

// CheckReport is what came of the conformance suite.
type CheckReport struct {
	// "engine", or "protocol" for a store that does not answer the engine's operations.
	Level      string `json:"level"`
	Passed     int    `json:"passed"`
	Failed     int    `json:"failed"`
	NotOffered int    `json:"not_offered"`
	// Guarantees that a store of this level does not have.
	GivenUp []string      `json:"given_up"`
	Cases   []CheckedCase `json:"cases"`
}

// CheckedCase is one case of the conformance suite.
type CheckedCase struct {
	Name string `json:"name"`
	// "passed", "failed" or "not_offered".
	Outcome string  `json:"outcome"`
	Seconds float64 `json:"seconds"`
	// Of a failed case; Place is also the operation that is not offered.
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Place    string `json:"place"`
}

// TaskInfo is what a handler may know of its task.
type TaskInfo struct {
	TaskID       string          `json:"task_id"`
	ExecutionID  string          `json:"execution_id"`
	Function     string          `json:"function"`
	Attempt      int             `json:"attempt"`
	Fence        int64           `json:"fence"`
	WorkerID     string          `json:"worker_id"`
	Deadline     *time.Time      `json:"deadline"`
	Queue        string          `json:"queue"`
	Tags         []string        `json:"tags"`
	Priority     int             `json:"priority"`
	Kind         string          `json:"kind"`
	ParentTaskID string          `json:"parent_task_id"`
	StepKey      string          `json:"step_key"`
	Traceparent  string          `json:"traceparent"`
	Heartbeat    json.RawMessage `json:"heartbeat"`
	Run          int             `json:"run"`
	// How often it was put off by [Task.Snooze].
	Snoozes   int       `json:"snoozes"`
	CreatedAt time.Time `json:"created_at"`
	// Its execution was cancelled or timed out, and this run is to clean up.
	Cleanup bool `json:"cleanup"`
	// A worker may have died of it, so it runs apart from others; of a batch it is the only one.
	Apart bool `json:"apart"`
}

// WorkerStatus is what a worker is doing.
type WorkerStatus struct {
	WorkerID   string   `json:"worker_id"`
	State      string   `json:"state"`
	Slots      int      `json:"slots"`
	Running    int      `json:"running"`
	Prefetched int      `json:"prefetched"`
	Held       int      `json:"held"`
	Queues     []string `json:"queues"`
	Tags       []string `json:"tags"`
	Functions  []string `json:"functions"`
	// Why its last call to the store failed, while that is so.
	Trouble json.RawMessage `json:"trouble"`
}
