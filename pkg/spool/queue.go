package spool

import (
	"errors"
	"hash/crc32"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// Errors that Reserve returns. A refusal is already counted when it is returned, so a caller need not count again for the process.
var (
	// ErrRefused says that the queue is too full for an entry of this level.
	ErrRefused = errors.New("spool: entry refused: the queue is too full for its level")
	// ErrTooLarge says that an entry can never fit, or that its subject is longer than MaxSubject.
	ErrTooLarge = errors.New("spool: entry refused: larger than a segment holds")
	// ErrClosed says that the queue takes no more entries.
	ErrClosed = errors.New("spool: closed")
)

// MaxSubject is the greatest length of a subject in bytes.
const MaxSubject = 4095

// Appender is what a logger's goroutine sees. It is safe for concurrent use and does not allocate.
type Appender interface {
	// Reserve takes room for a line of at most max bytes, its "\n" included, that will travel under subject. It never
	// waits, but for at most 5 ms once a second where the queue is full and the entry is warn and up or a task entry.
	// The errors are ErrRefused, ErrTooLarge and ErrClosed; the refused take no number and are counted by level and reason.
	// Every frame must be committed or abandoned, soon and by the goroutine that reserved it: later entries wait for it.
	Reserve(subject string, level entry.Level, task bool, max int) (Frame, error)
}

// Committer finishes frames; an Appender outside of this package implements it to hand out frames of its own (NewFrame).
type Committer interface {
	// CommitFrame is called once for a frame whose first n bytes are the line.
	CommitFrame(f Frame, n int)
	// AbandonFrame is called once for a frame that shall hold nothing.
	AbandonFrame(f Frame)
}

// Frame is the reserved room of one entry. The zero Frame takes nothing and ignores Commit and Abandon.
type Frame struct {
	// Line is where the entry's line is written; its length is the max of Reserve.
	Line []byte
	// Seq is the entry's number in its process, from 1, taken with the reservation. Numbers have no gaps but for abandoned frames.
	Seq uint64

	owner Committer
	token uint64
}

// NewFrame makes a frame for an Appender outside of this package: c is told how it ends, and token comes back with it.
func NewFrame(line []byte, seq uint64, c Committer, token uint64) Frame {
	return Frame{Line: line, Seq: seq, owner: c, token: token}
}

// Token returns what NewFrame was given.
func (f Frame) Token() uint64 { return f.token }

// Commit makes the first n bytes of Line the entry; the line ends with "\n". When it returns, the entry is as safe as the
// queue makes it (Where). An n below zero or above the length of Line abandons the frame.
func (f Frame) Commit(n int) {
	switch {
	case f.owner == nil:
	case n < 0 || n > len(f.Line):
		f.owner.AbandonFrame(f)
	default:
		f.owner.CommitFrame(f, n)
	}
}

// Abandon gives the frame up: its number stays unused and readers pass over it.
func (f Frame) Abandon() {
	if f.owner != nil {
		f.owner.AbandonFrame(f)
	}
}

// Pos is the place of an entry in its queue. Later entries have greater places; 0 is none.
type Pos uint64

// Item is one committed entry as the sender reads it.
type Item struct {
	At      Pos
	Subject string // safe to keep
	Level   entry.Level
	Task    bool
	Seq     uint64
	Line    []byte // with its "\n"; read-only, valid until the entry is acked or the queue closed
	When    int64  // Unix time of the commit in nanoseconds; 0 where the queue does not note it
}

// Pack is what makes the bytes of one message: the Count entries of one subject that Next returned from First to Last, in that
// order, every entry of that subject between them included.
type Pack struct {
	Number      uint64 // from 1, not used before in this queue (LastNumber)
	Subject     string
	First, Last Pos
	Count       int
	CRC         uint32 // Checksum over the lines
	At          int64  // Unix time of the first publish in nanoseconds
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum continues a pack's CRC (CRC-32C, from 0) with one more line.
func Checksum(crc uint32, line []byte) uint32 { return crc32.Update(crc, castagnoli, line) }

// Queue is an Appender with its one reader's side. The methods of the reader's side may be called from several goroutines,
// but entries are handed out once only.
type Queue interface {
	Appender

	// Key is the pack key: random, fixed for the queue's life, kept with a spool's files and in no entry.
	Key() string
	// Next returns the next committed entry, each once, in the order of the reservations; false where there is none at
	// present. It never waits.
	Next() (Item, bool)
	// Fix journals a pack; it comes before the first publish.
	Fix(Pack) error
	// Acked says that a pack is stored. Its entries may be forgotten; room is freed as soon as a whole segment is acked.
	// Unknown numbers are ignored, so an ack may come twice.
	Acked(number uint64)
	// Pending lists, by number, the packs that were fixed but not acked by an earlier run, until they are acked. They are
	// resent with Dlog-Again; Next does not return their entries.
	Pending() []Pack
	// LastNumber is the greatest pack number ever fixed in this queue, 0 for none.
	LastNumber() uint64
	// Bytes appends the bytes of a fixed, un-acked pack to dst, the very same at each call.
	Bytes(p Pack, dst []byte) ([]byte, error)
	// Notify sets what is called after each commit, in the goroutine that committed; it must be short and never wait.
	// One function per queue, a nil one for none.
	Notify(func(level entry.Level, task bool))
	// SetBirth stores what tells an adopter who died (the process's birth entry, at most 32 KiB) with the queue.
	SetBirth(line []byte) error
	// Stats returns the figures of the moment.
	Stats() Stats
	// Where says where entries lie and what that survives, for one line at the start.
	Where() string
	// Close stops appending and reading. What is un-acked stays on disk where the queue has files; files with nothing
	// un-acked are removed. Close may be called twice.
	Close() error
}

// Reason says why an entry was refused.
type Reason uint8

// The reasons.
const (
	Full   Reason = iota // the queue's limit for the level
	NoDisk               // the file system has no room, or fails
	TooBig               // ErrTooLarge
	Closed               // ErrClosed
	reasons
)

// String returns the reason as reports name it.
func (r Reason) String() string {
	switch r {
	case Full:
		return "full"
	case NoDisk:
		return "disk"
	case TooBig:
		return "size"
	case Closed:
		return "closed"
	}
	return "unknown"
}

// Refusal counts the refused entries of one level and reason.
type Refusal struct {
	Level  entry.Level
	Task   bool // task entries, of whatever level
	Reason Reason
	Count  uint64
}

// Stats are the figures of a queue. Counters start with the queue.
type Stats struct {
	Bytes    int64  // in use
	Limit    int64  // that may be in use
	Reserved uint64 // entries that got a frame; in an adopted spool those that were found so far
	Waiting  uint64 // entries not acked yet, the abandoned not counted; those un-committed included
	Acked    uint64 // entries
	Holes    uint64 // frames that were abandoned or, in an adopted spool, torn by the death of their process
	Unsaved  uint64 // entries that could not be written to their file and are in memory alone
	Refused  []Refusal
}

// RefusedByLevel sums the refusals over their reasons, as the key dlog.refused of end and death entries shows them: by level,
// task entries under "task". It is nil where nothing was refused.
func (s Stats) RefusedByLevel() map[string]uint64 {
	var m map[string]uint64
	for _, r := range s.Refused {
		if m == nil {
			m = make(map[string]uint64)
		}
		name := "task"
		if !r.Task {
			name = r.Level.String()
		}
		m[name] += r.Count
	}
	return m
}

// Config says what a queue may use. The zero Config is a good one for NewMemory.
type Config struct {
	// Dir is the directory below which Open makes one directory per process; "" is a queue in memory (Place finds one).
	Dir string
	// Bytes is the most that un-acked entries may take. Default 256 MiB with files (on tmpfs never more than a tenth of the
	// cgroup's memory), 16 MiB in memory.
	Bytes int64
	// Fsync makes each Commit return only when the entry is on the disk; concurrent commits share one sync. Without it an
	// entry is safe from the death of its process at once and from a power loss after about 30 s.
	Fsync bool
	// NoMap keeps Open from mapping files: entries are written with write(2), as where mapping is not available.
	NoMap bool
	// Block is the most that a warn and up or a task entry waits once a second for room. Default 5 ms; negative never waits.
	Block time.Duration
}
