package stent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// The options of the library, as Describe lists them: a tag names each. What is left at its zero value is left to the
// library's default; pointers are for options whose zero means something, see [Ptr].

// Ptr gives the address of a value, for options such as RetryPolicy.Jitter.
func Ptr[T any](value T) *T { return &value }

// Never is for WorkerOptions.CleanupInterval.
const Never time.Duration = -1

// RetryPolicy says when a failed attempt is tried again.
type RetryPolicy struct {
	MaxAttempts   int            `stent:"max_attempts"`
	MaxDeaths     int            `stent:"max_deaths"`
	BackoffFactor float64        `stent:"backoff_factor"`
	InitialDelay  *time.Duration `stent:"initial_delay"`
	MaxDelay      *time.Duration `stent:"max_delay"`
	// The delay before each retry, one by one, in place of the three above; the last one repeats.
	Delays []time.Duration `stent:"delays"`
	Jitter *float64        `stent:"jitter"`
	// No retry begins later than this after the first attempt began.
	MaxElapsed    time.Duration `stent:"max_elapsed"`
	RetryFor      []string      `stent:"retry_for"`
	NoRetryFor    []string      `stent:"no_retry_for"`
	RetryChildren bool          `stent:"retry_children"`
}

// Rate is a bucket of tokens, of which each start takes one: Limit of them come in each Period, and it holds Burst.
type Rate struct {
	Limit  int           `stent:"limit"`
	Period time.Duration `stent:"period"`
	Burst  int           `stent:"burst"`
}

// DispatchOptions says how an execution is started.
type DispatchOptions struct {
	ID             string         `stent:"id"`
	Kwargs         map[string]any `stent:"kwargs"`
	Delay          time.Duration  `stent:"delay"`
	Expiry         time.Duration  `stent:"expiry"`
	MaxDuration    time.Duration  `stent:"max_duration"`
	IdempotencyKey string         `stent:"idempotency_key"`
	// What the key does after an execution that failed: "after_failure" starts a new one, "never" answers its id.
	IdempotencyReuse string `stent:"idempotency_reuse"`
	// One execution of the function at a time has it: while it is pending or running another dispatch starts nothing.
	UniqueKey string `stent:"unique_key"`
	// Start nothing if the UniqueKey was taken less than this ago, whatever has become of that execution.
	UniqueFor time.Duration `stent:"unique_for"`
	// While what the UniqueKey is taken: "unfinished" (the default without a UniqueFor), or "pending", until a worker has it.
	UniqueWhile string `stent:"unique_while"`
	// What one gets whose UniqueKey is taken: "return" the execution that has it, "refuse" with a conflict that names it.
	UniqueExisting string `stent:"unique_existing"`
	// Start when no other dispatch with the UniqueKey came for so long; until then each gives it its arguments.
	Debounce time.Duration `stent:"debounce"`
	// But no later than so long after the first.
	DebounceMax time.Duration `stent:"debounce_max"`
	OnCancel    string        `stent:"on_cancel"`
	Traceparent string        `stent:"traceparent"`
	Queue       string        `stent:"queue"`
	Tags        []string      `stent:"tags"`
	Priority    int           `stent:"priority"`
	// How long a task waits to make up for one step of priority.
	PriorityAgeing time.Duration `stent:"priority_ageing"`
	RetryPolicy    *RetryPolicy  `stent:"retry_policy"`
	Timeout        time.Duration `stent:"timeout"`
	Cached         *bool         `stent:"cached"`
	CacheTTL       time.Duration `stent:"cache_ttl"`
	// No more of the calls with this key run at once than the function's MaxConcurrentPerKey.
	ConcurrencyKey string `stent:"concurrency_key"`
	// Whose task it is: what waits in a queue is shared out among the keys. A call without one has its parent's.
	FairnessKey string `stent:"fairness_key"`
	// How much its key gets: twice as many tasks with 2 as with 1; 0 is as 1.
	FairnessWeight float64 `stent:"fairness_weight"`
}

// DispatchRequest is one of many dispatches.
type DispatchRequest struct {
	Function string          `stent:"function"`
	Args     Args            `stent:"args"`
	Options  DispatchOptions `stent:"options"`
}

// CallOptions says how a handler calls a function.
type CallOptions struct {
	Key            string         `stent:"key"`
	Kwargs         map[string]any `stent:"kwargs"`
	Delay          time.Duration  `stent:"delay"`
	IdempotencyKey string         `stent:"idempotency_key"`
	CacheKey       string         `stent:"cache_key"`
	Queue          string         `stent:"queue"`
	Tags           []string       `stent:"tags"`
	Priority       int            `stent:"priority"`
	// How long a task waits to make up for one step of priority.
	PriorityAgeing time.Duration `stent:"priority_ageing"`
	RetryPolicy    *RetryPolicy  `stent:"retry_policy"`
	Timeout        time.Duration `stent:"timeout"`
	Cached         *bool         `stent:"cached"`
	CacheTTL       time.Duration `stent:"cache_ttl"`
	// No more of the calls with this key run at once than the function's MaxConcurrentPerKey.
	ConcurrencyKey string `stent:"concurrency_key"`
	// Whose task it is: what waits in a queue is shared out among the keys. A call without one has its parent's.
	FairnessKey string `stent:"fairness_key"`
	// How much its key gets: twice as many tasks with 2 as with 1; 0 is as 1.
	FairnessWeight float64 `stent:"fairness_weight"`
}

// FunctionOptions is what a worker declares of a function, for all who call it.
type FunctionOptions struct {
	Queue    string   `stent:"queue"`
	Tags     []string `stent:"tags"`
	Priority int      `stent:"priority"`
	// How long a task waits to make up for one step of priority.
	PriorityAgeing time.Duration `stent:"priority_ageing"`
	RetryPolicy    *RetryPolicy  `stent:"retry_policy"`
	Timeout        time.Duration `stent:"timeout"`
	Version        string        `stent:"version"`
	MaxConcurrent  int           `stent:"max_concurrent"`
	Cached         bool          `stent:"cached"`
	CacheTTL       time.Duration `stent:"cache_ttl"`
	Idempotent     bool          `stent:"idempotent"`
	// At most so many at once of the calls with one ConcurrencyKey, in all workers.
	MaxConcurrentPerKey int `stent:"max_concurrent_per_key"`
	// How often its attempts may start, in all workers; and those of the calls with one ConcurrencyKey.
	Rate       *Rate `stent:"rate"`
	RatePerKey *Rate `stent:"rate_per_key"`
	// How long an execution of it may clean up after it was cancelled or timed out.
	Cleanup time.Duration `stent:"cleanup"`
}

// BatchOptions says how tasks are gathered for a handler that takes many in one call.
type BatchOptions struct {
	// Tasks in one call, at the most: 100, if nobody says; and no more than the worker has slots (MaxConcurrency).
	Size int `stent:"size"`
	// How long the first task waits for others; 0: the handler gets what is ready. At most an hour.
	Wait time.Duration `stent:"wait"`
}

// WorkerOptions says how a worker works.
type WorkerOptions struct {
	WorkerID string   `stent:"worker_id"`
	Queues   []string `stent:"queues"`
	// By queue, how often attempts of its tasks may start, in all workers; nil: as often as there are some. Of a queue that is
	// not named nothing changes.
	QueueRates        map[string]*Rate `stent:"queue_rates"`
	Tags              []string         `stent:"tags"`
	MaxConcurrency    int              `stent:"max_concurrency"`
	Prefetch          *int             `stent:"prefetch"`
	LeaseDuration     time.Duration    `stent:"lease_duration"`
	HeartbeatInterval time.Duration    `stent:"heartbeat_interval"`
	PollInterval      time.Duration    `stent:"poll_interval"`
	PollIntervalMax   time.Duration    `stent:"poll_interval_max"`
	CleanupInterval   time.Duration    `stent:"cleanup_interval,never"` // or Never
	RetentionPeriod   *time.Duration   `stent:"retention_period"`
	Hold              time.Duration    `stent:"hold"`
	MaxCoroutines     int              `stent:"max_coroutines"`
	HostTimeout       time.Duration    `stent:"host_timeout"`
}

// SQLiteOptions says how a SQLite file is opened.
type SQLiteOptions struct {
	Synchronous string         `stent:"synchronous"`
	BusyTimeout *time.Duration `stent:"busy_timeout"`
	Readers     int            `stent:"readers"`
	// Of a new file, as for chmod: "0600" where nobody says.
	FileMode string `stent:"file_mode"`
}

// CustomOptions says how a store of your own is spoken to.
type CustomOptions struct {
	// How long the function may take to answer.
	Timeout time.Duration `stent:"timeout"`
	// What it keeps beside the engine's operations: "key_limits", "rates", "unique_keys", "fairness".
	Features []string `stent:"features"`
	// The operations that it answers, of the protocol's and the engine's; none: the protocol's.
	Operations []string `stent:"-"`
}

// CheckOptions says how the conformance suite is run against a store.
type CheckOptions struct {
	// Cases whose names begin with one of these, such as "records"; none: all.
	Only []string `stent:"only"`
	// How long one case may take.
	Timeout time.Duration `stent:"timeout"`
}

// WaitSignalOptions is for a wait for a signal.
type WaitSignalOptions struct {
	Timeout *time.Duration `stent:"timeout"`
	Key     string         `stent:"key"`
}

// StepOptions is for a step run in place.
type StepOptions struct {
	Key string `stent:"key"`
}

// SignalOptions is for the sending of a signal.
type SignalOptions struct {
	ID string `stent:"id"`
}

// ExecutionFilter says which executions are listed.
type ExecutionFilter struct {
	State         string    `stent:"state"`
	Function      string    `stent:"function"`
	Queue         string    `stent:"queue"`
	Tag           string    `stent:"tag"`
	CreatedAfter  time.Time `stent:"created_after"`
	CreatedBefore time.Time `stent:"created_before"`
	Limit         int       `stent:"limit"`
	Offset        int       `stent:"offset"`
}

// DeadLetterFilter says which dead letters are listed.
type DeadLetterFilter struct {
	TaskID      string `stent:"task_id"`
	ExecutionID string `stent:"execution_id"`
	Function    string `stent:"function"`
	Limit       int    `stent:"limit"`
	Offset      int    `stent:"offset"`
}

// PauseOptions name a queue or a function to pause, and why. An empty name is none.
type PauseOptions struct {
	Queue    string `stent:"queue"`
	Function string `stent:"function"`
	Reason   string `stent:"reason"`
	By       string `stent:"by"`
}

// UnpauseOptions name a queue or a function that is paused.
type UnpauseOptions struct {
	Queue    string `stent:"queue"`
	Function string `stent:"function"`
}

// CleanupOptions says what a cleanup removes.
type CleanupOptions struct {
	OlderThan   *time.Duration `stent:"older_than"`
	DeadLetters *time.Duration `stent:"dead_letters"`
}

// StatsOptions says how statistics are told.
type StatsOptions struct {
	Format string `stent:"format"`
}

// ConfigureOptions holds for the whole process.
type ConfigureOptions struct {
	RuntimeThreads   int    `stent:"runtime_threads"`
	HandlerStackSize int    `stent:"handler_stack_size"`
	OTLPEndpoint     string `stent:"otlp_endpoint"`
}

// LogOptions says what a log handler is given.
type LogOptions struct {
	Level string `stent:"level"`
}

func encodeOptions(options any) (string, error) {
	value := reflect.ValueOf(options)
	members, err := optionMembers(value, value.Type().Name())
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(members)
	return string(text), err
}

// Optional options as JSON.
func encodeFirst[T any](options []T) (string, error) {
	given, err := firstOf(options)
	if err != nil {
		return "", err
	}
	return encodeOptions(given)
}

// The first of optional options.
func firstOf[T any](options []T) (T, error) {
	var none T
	if len(options) > 1 {
		return none, invalid(nil, "%d %T were given; at most one is taken", len(options), none)
	}
	if len(options) == 0 {
		return none, nil
	}
	return options[0], nil
}

// path names the struct in errors: "DispatchOptions.RetryPolicy".
func optionMembers(options reflect.Value, path string) (map[string]any, error) {
	members := map[string]any{}
	for i := 0; i < options.NumField(); i++ {
		field := options.Field(i)
		name, flag := optionTag(options.Type().Field(i))
		if field.IsZero() || name == "-" {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		if field.Type() == reflect.TypeOf(Never) && flag == "never" && field.Interface() == Never {
			members[name] = nil
			continue
		}
		value, err := optionValue(field, path+"."+options.Type().Field(i).Name)
		if err != nil {
			return nil, err
		}
		members[name] = value
	}
	return members, nil
}

// The library's name for an option, and what else is to be known of it.
func optionTag(field reflect.StructField) (name, flag string) {
	name, flag, _ = strings.Cut(field.Tag.Get("stent"), ",")
	return name, flag
}

func optionValue(field reflect.Value, path string) (any, error) {
	switch value := field.Interface().(type) {
	case time.Duration:
		return seconds(value, path)
	case []time.Duration:
		list := make([]json.Number, len(value))
		for i, duration := range value {
			number, err := seconds(duration, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			list[i] = number
		}
		return list, nil
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano), nil
	case map[string]*Rate:
		members := map[string]any{}
		for name, rate := range value {
			members[name] = nil
			if rate != nil {
				member, err := optionMembers(reflect.ValueOf(*rate), fmt.Sprintf("%s[%q]", path, name))
				if err != nil {
					return nil, err
				}
				members[name] = member
			}
		}
		return members, nil
	case map[string]any:
		members := map[string]json.RawMessage{}
		for name, member := range value {
			text, err := encode(member, "%s: %s", path, name)
			if err != nil {
				return nil, err
			}
			members[name] = text
		}
		return members, nil
	}
	if field.Kind() == reflect.Struct {
		return optionMembers(field, path)
	}
	return field.Interface(), nil
}

// A duration as the library reads it, to the microsecond and never shorter than it was.
func seconds(duration time.Duration, what string) (json.Number, error) {
	if duration < 0 {
		return "", invalid(nil, "%s is %v; it must not be negative", what, duration)
	}
	micros := (duration + time.Microsecond - 1) / time.Microsecond
	return json.Number(fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6)), nil
}
