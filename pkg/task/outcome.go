package task

// Outcome says how a task went.
type Outcome string

// What a task writes about itself at its end, and what a reader adds where there is no
// end: Running, and Abandoned where the process is gone.
const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
	Cancelled Outcome = "cancelled"
	Panicked  Outcome = "panicked"
	Running   Outcome = "running"
	Abandoned Outcome = "abandoned"
)

// Outcomes lists all of them, those that a task writes itself first.
func Outcomes() []Outcome {
	return []Outcome{Succeeded, Failed, Cancelled, Panicked, Running, Abandoned}
}

// ParseOutcome reads the exact word; false for any other.
func ParseOutcome(s string) (Outcome, bool) {
	switch o := Outcome(s); o {
	case Succeeded, Failed, Cancelled, Panicked, Running, Abandoned:
		return o, true
	}
	return "", false
}

// Ended reports whether the task itself wrote its outcome: it is neither running nor
// abandoned.
func (o Outcome) Ended() bool {
	switch o {
	case Succeeded, Failed, Cancelled, Panicked:
		return true
	}
	return false
}

// Bad reports whether the task ended in failure or panic, or was abandoned.
func (o Outcome) Bad() bool { return o == Failed || o == Panicked || o == Abandoned }
