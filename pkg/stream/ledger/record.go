package ledger

import (
	"maps"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Kind says what a Count counts.
type Kind byte

// The kinds of counts.
const (
	Stored  Kind = 's' // entries that a stream took, by stream
	Owed    Kind = 'o' // entries that a stream refused and gets later, by stream
	Paid    Kind = 'p' // entries that a stream was owed and took, by stream
	Dropped Kind = 'r' // entries that a rule dropped, by rule
	Dead    Kind = 'd' // entries that became dead letters, by reason
)

// valid reports whether this version knows the kind.
func (k Kind) valid() bool { return k == Stored || k == Owed || k == Paid || k == Dropped || k == Dead }

// Name is what is counted: a stream, a rule or a reason, by kind.
type Name struct {
	Kind Kind
	Name string
}

// Count is a number of entries.
type Count struct {
	Name
	N uint64
}

// Record says what became of the entries of one message of IN.
type Record struct {
	// Seq and At are the message's sequence and store time in IN. The time tells messages apart when IN was made anew.
	Seq uint64
	At  time.Time
	// Entries = Delivered + dropped + dead. Delivered are those that at least one stream took or is owed, ByDefault those of
	// them that only [default] sent anywhere.
	Entries, Delivered, ByDefault uint64
	// Counts are by stream, rule and reason, each name at most once.
	Counts []Count
	// Withheld tells which entries of tasks were dropped, in order of rule, task and number.
	Withheld []Withheld
}

// Withheld is a run of entries of one task that a rule dropped.
type Withheld struct {
	Rule        string
	Task        TaskKey
	First, Last uint64 // the entries' numbers in the task
}

// TaskKey stands for one task of one trace: 64 bits of hash. A position of a trace takes 16 bytes and more, and the ledger only has
// to answer questions about tasks that the reader knows.
type TaskKey uint64

// KeyOf returns the key of the task at a position of a trace.
func KeyOf(trace task.Trace, at task.Position) TaskKey {
	var buf [32]byte
	return KeyOfText(trace.AppendTo(buf[:0]), []byte(at))
}

// KeyOfText is KeyOf for the texts of a trace (32 lower-case hex digits) and a position. It does not allocate.
func KeyOfText(trace, at []byte) TaskKey {
	// FNV-1a (draft-eastlake-fnv), and a last step that spreads the bits, as in MurmurHash3's fmix64.
	h := uint64(14695981039346656037)
	for _, c := range trace {
		h = (h ^ uint64(c)) * 1099511628211
	}
	for _, c := range at {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return TaskKey(h ^ h>>33)
}

// Totals are running sums over all routers, from the first batch on.
type Totals struct {
	Messages, Entries, Delivered, ByDefault uint64
	// Expired are messages that IN's limits removed before any router had them.
	Expired uint64
	// By are the counts by name.
	By map[Name]uint64
}

// Clone returns a copy that shares nothing.
func (t Totals) Clone() Totals {
	t.By = maps.Clone(t.By)
	return t
}

// Of returns the sum over all names of a kind.
func (t Totals) Of(k Kind) (sum uint64) {
	for name, n := range t.By {
		if name.Kind == k {
			sum += n
		}
	}
	return sum
}

// add counts a record.
func (t *Totals) add(r *Record) {
	t.Messages++
	t.Entries += r.Entries
	t.Delivered += r.Delivered
	t.ByDefault += r.ByDefault
	for _, c := range r.Counts {
		t.By[c.Name] += c.N
	}
}

// Batch is one message of the ledger.
type Batch struct {
	// Router names the run that wrote it, Number counts the batches of that run, from 1.
	Router string
	Number uint64
	// Seq and Time are where it stands in the ledger.
	Seq  uint64
	Time time.Time
	// Full says that Totals.By holds all names and Recorded is set. Others hold the names that their records use.
	Full bool
	// Debts says that the records are not of messages of IN: they have sequence and time of messages in the stream of what is
	// owed, and tell that they were paid.
	Debts bool
	// Back is the ledger's sequence of the last full batch before this one; 0 if this one is full.
	Back    uint64
	Totals  Totals
	Records []Record
	// Expired are sequences of IN that were removed before they were routed, found with this batch.
	Expired Spans
	// Recorded are all sequences of IN that are recorded or expired, this batch's included.
	Recorded Spans
}
