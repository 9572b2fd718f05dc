package tree

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Task is a task as far as its entries tell. It is a copy made when the forest
// was asked: entries added later do not change it.
type Task struct {
	// Trace is the trace id as 32 hex digits; "" of guessed tasks.
	Trace string
	// Pos is the task's own position; "" for the outermost one that is not a
	// foreign head.
	Pos task.Position
	// Path and Name are escaped as in dlog.path and plain; "" when unknown.
	Path, Name string
	// Service is the service of the process that ran the task; "" when unknown.
	Service string
	// Proc is that process; "" when unknown and for Eliot's tasks.
	Proc string
	// Outcome is what the end entry says, or Running, or Abandoned; "" when
	// nothing tells: no entry of the task is present, or its end names none.
	Outcome task.Outcome
	// Silent says that Abandoned was concluded from silence, not from a death
	// entry: a slow network looks the same.
	Silent bool
	// LastSign is the last time the task's process said anything; zero when
	// unknown.
	LastSign time.Time
	// Started and Ended are from the writer's clock; zero when unknown.
	Started, Ended time.Time
	// Elapsed is in milliseconds, from the writer's monotonic clock where it
	// said so; -1 when unknown.
	Elapsed float64
	// Error is the error text of the end entry.
	Error string
	// Start and End are the entries that bracket the task; nil when absent.
	// They are among Items too.
	Start, End *entry.Entry
	// Items are the task's entries and sub-tasks in the order of their
	// positions; attempts at one number by the time they began.
	Items []Item
	// Missing are the absent numbers of this task alone, in order.
	Missing []Missing
	// Skipped counts the levels between this task and the one above it that
	// nothing is known of and that were too many to show.
	Skipped int
	// Entries, Errors (level error and above) and Conflicts (entries whose
	// position another one claims too) count this task and all below.
	Entries, Errors, Conflicts int
	// Guessed says that no entry tells of the task: [Gather] concluded it from
	// entries that have something in common.
	Guessed bool
	// By is what they have in common, of the outermost such task; nil of others.
	By *By
	// Tasks, Troubles (those that failed, panicked or were abandoned) and Open
	// (those that run) count this task and all below.
	Tasks, Troubles, Open int

	missing  uint64 // of this task and all below, by the reasons that count
	above    string // the path of the task above that the task's own begins anew below
	depth    int    // levels below the outermost task
	parent   *Task
	children []*Task
	eliot    bool      // written by Eliot
	erred    time.Time // of the entry that Error is from, where it is guessed
	step     task.Step // the first step below the parent
	node     *node
}

// Item is an entry or a sub-task of a task; exactly one of the two is set.
type Item struct {
	// N is the number of the item in its task.
	N     uint64
	Entry *entry.Entry
	Task  *Task
	// Late says that the item came after the end of its task.
	Late bool
	// Conflict says that another item claims the same position.
	Conflict bool
}

// Parent returns the task above, nil for an outermost one.
func (t *Task) Parent() *Task { return t.parent }

// Children returns the sub-tasks in order. The slice must not be changed.
func (t *Task) Children() []*Task { return t.children }

// Depth returns the number of levels below the outermost task.
func (t *Task) Depth() int { return t.depth }

// Attempt returns the attempt under which the task continues a hand-over, or
// "".
func (t *Task) Attempt() string { return t.step.Attempt }

// Hollow reports whether no entry of the task itself is present.
func (t *Task) Hollow() bool { return t.node == nil }

// MissingCount returns how many numbers of this task and all below are absent
// with a reason that counts as a loss: missing, died or expired.
func (t *Task) MissingCount() uint64 { return t.missing }

// Walk calls visit for t and all tasks below, each before those below it, in
// order. When visit returns false the tasks below that one are left out.
func (t *Task) Walk(visit func(*Task) bool) {
	stack := []*Task{t}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !visit(at) {
			continue
		}
		for i := len(at.children) - 1; i >= 0; i-- {
			stack = append(stack, at.children[i])
		}
	}
}

// Troubled reports whether the task failed, panicked or was abandoned.
func (t *Task) Troubled() bool { return t.Outcome.Bad() }

func (t *Task) failed() bool { return t.Outcome == task.Failed || t.Outcome == task.Panicked }
