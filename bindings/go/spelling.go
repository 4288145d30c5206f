package stent

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
)

// The structs of the options that the library knows, each by the library's name for it.
var optionStructs = map[string]reflect.Type{
	"rate":         reflect.TypeOf(Rate{}),
	"retry_policy": reflect.TypeOf(RetryPolicy{}), "dispatch": reflect.TypeOf(DispatchOptions{}),
	"dispatch_request": reflect.TypeOf(DispatchRequest{}), "call": reflect.TypeOf(CallOptions{}),
	"function": reflect.TypeOf(FunctionOptions{}), "batch": reflect.TypeOf(BatchOptions{}),
	"worker": reflect.TypeOf(WorkerOptions{}),
	"sqlite": reflect.TypeOf(SQLiteOptions{}), "custom": reflect.TypeOf(CustomOptions{}),
	"check": reflect.TypeOf(CheckOptions{}), "wait_signal": reflect.TypeOf(WaitSignalOptions{}),
	"step": reflect.TypeOf(StepOptions{}), "signal": reflect.TypeOf(SignalOptions{}),
	"execution_filter": reflect.TypeOf(ExecutionFilter{}), "dead_letter_filter": reflect.TypeOf(DeadLetterFilter{}),
	"pause": reflect.TypeOf(PauseOptions{}), "unpause": reflect.TypeOf(UnpauseOptions{}),
	"cleanup": reflect.TypeOf(CleanupOptions{}), "stats": reflect.TypeOf(StatsOptions{}),
	"configure": reflect.TypeOf(ConfigureOptions{}), "log_handler": reflect.TypeOf(LogOptions{}),
	"schedule": reflect.TypeOf(Schedule{}), "schedule_filter": reflect.TypeOf(ScheduleFilter{}),
	"declare_schedules": reflect.TypeOf(DeclareOptions{}), "pause_schedule": reflect.TypeOf(SchedulePauseOptions{}),
	"trigger_schedule": reflect.TypeOf(TriggerOptions{}), "backfill_schedule": reflect.TypeOf(BackfillOptions{}),
}

// The fields of a struct of options, and of those inside it, by the library's names.
func spellings(options reflect.Type, into map[string]string) map[string]string {
	for i := 0; i < options.NumField(); i++ {
		field := options.Field(i)
		name, _ := optionTag(field)
		into[name] = field.Name
		if inner := field.Type; inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct {
			spellings(inner.Elem(), into)
		}
	}
	return into
}

var (
	headings   = regexp.MustCompile(`(?:[a-z]+ )*options: `)
	subjects   = regexp.MustCompile(`^[a-z_.]+(?: and [a-z_.]+)? (?:is|are) `)
	words      = regexp.MustCompile(`[a-z]+(?:_[a-z]+)*`)
	jsonPlaces = regexp.MustCompile(` \(line \d+, column \d+\)`)
)

// Has an error about options say it to who has written the struct: DispatchOptions: RetryPolicy.Jitter is wrong.
func (e *Error) respell() {
	var details struct{ Object string }
	if json.Unmarshal(e.Details, &details) == nil {
		e.Message = respelled(e.Message, details.Object)
	}
}

// A word such as "delay" is taken for an option only where the sentence is about it.
func respelled(message, object string) string {
	options, known := optionStructs[object]
	place := headings.FindStringIndex(message)
	if !known || place == nil {
		// What another call would take is told of ids, too.
		return strings.ReplaceAll(message, " idempotency_key", " DispatchOptions.IdempotencyKey")
	}
	names, rest := spellings(options, map[string]string{}), jsonPlaces.ReplaceAllString(message[place[1]:], "")
	subject := map[string]bool{}
	for _, word := range words.FindAllString(subjects.FindString(rest), -1) {
		subject[word] = true
	}
	rest = words.ReplaceAllStringFunc(rest, func(word string) string {
		if name, ok := names[word]; ok && (subject[word] || strings.Contains(word, "_")) {
			return name
		}
		return word
	})
	return message[:place[0]] + options.Name() + ": " + rest
}
