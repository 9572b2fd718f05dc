package tree

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

const (
	// Beat is the time between two signs of life of a process with open tasks.
	Beat = 30 * time.Second
	// Silence is the time without any sign after which the process of an open
	// task is taken for dead: three beats.
	Silence = 3 * Beat
)

// Config says what a forest knows beside the entries. The zero value is what
// a reader of everything wants.
type Config struct {
	// Now tells the time that silence is measured against; nil means time.Now.
	Now func() time.Time
	// Part says that the entries come from a stream that is not sent
	// everything (a team's): what is absent then is elsewhere, not missing.
	Part bool
	// Judge explains absent entries by what the entries do not say; may be nil.
	Judge Judge
	// DropLoose makes the forest forget entries outside of any task instead of
	// keeping them for Loose; signs of life in them count all the same.
	DropLoose bool
}

// Forest collects entries and gives the trees they form. It is not safe for
// concurrent use. It keeps the bytes of the entries it is given.
type Forest struct {
	cfg    Config
	traces map[task.Trace]*trace
	procs  map[string]*life
	loose  []*entry.Entry
	seen   map[identity]struct{} // of the loose entries
}

// identity is what makes an entry the same entry when it is met again.
type identity struct {
	proc string
	seq  uint64
}

// trace holds the tasks of one trace id that at least one entry stands in.
type trace struct {
	id    task.Trace
	nodes map[task.Position]*node
	last  *node // of the entry before: entries of one task come in runs
}

// node holds the entries of one task.
type node struct {
	pos  task.Position
	recs []rec
	tidy bool // recs are in order and without repeats
}

// rec is an entry with its own number in its task.
type rec struct {
	n uint64
	e *entry.Entry
}

// New returns an empty forest with the zero Config.
func New() *Forest { return With(Config{}) }

// With returns an empty forest.
func With(cfg Config) *Forest {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Forest{
		cfg:    cfg,
		traces: make(map[task.Trace]*trace),
		procs:  make(map[string]*life),
		seen:   make(map[identity]struct{}),
	}
}

// Add adds an entry, or a line of Eliot. The forest keeps e.Raw and whatever
// else e refers to; they must not change afterwards. An entry whose trace or
// position does not parse counts as one outside of any task.
func (f *Forest) Add(e entry.Entry) { f.AddAt(e, time.Time{}) }

// AddAt is Add for an entry of which is known when it was received, by a clock
// the reader trusts more than the writer's (the stream's store time): signs of
// life are dated by it. The zero time stands for unknown.
func (f *Forest) AddAt(e entry.Entry, received time.Time) {
	if !e.HasMeta {
		ReadEliot(&e)
	}
	f.sign(&e, received)
	p := new(entry.Entry)
	*p = e
	id, pos, n, ok := place(p)
	if !ok {
		f.addLoose(p)
		return
	}
	node := f.trace(id).node(pos)
	node.recs = append(node.recs, rec{n, p})
	node.tidy = false
}

// Len returns the number of trace ids seen.
func (f *Forest) Len() int { return len(f.traces) }

// Loose returns the entries outside of any task in the order they were added,
// each identity once. Birth, beat and death entries are not among them.
func (f *Forest) Loose() []*entry.Entry { return f.loose }

// place says in which task of which trace an entry stands, and at which number.
func place(e *entry.Entry) (id task.Trace, in task.Position, n uint64, ok bool) {
	if !e.HasMeta || e.Meta.Trace == "" || e.Meta.Pos == "" {
		return id, "", 0, false
	}
	id, err := task.ParseTrace(e.Meta.Trace)
	if err != nil {
		return id, "", 0, false
	}
	pos, err := task.ParsePosition(e.Meta.Pos)
	if err != nil {
		return id, "", 0, false
	}
	in, last, ok := pos.Split()
	// Only a task can stand at an attempt or a foreign head.
	if !ok || last.N == 0 || last.Attempt != "" || last.Foreign != "" {
		return id, "", 0, false
	}
	return id, in, last.N, true
}

func (f *Forest) addLoose(e *entry.Entry) {
	if f.cfg.DropLoose || isSign(e) {
		return
	}
	if e.HasMeta && e.Meta.Proc != "" {
		id := identity{e.Meta.Proc, e.Meta.Seq}
		if _, twice := f.seen[id]; twice {
			return
		}
		f.seen[id] = struct{}{}
	}
	f.loose = append(f.loose, e)
}

func (f *Forest) trace(id task.Trace) *trace {
	t := f.traces[id]
	if t == nil {
		t = &trace{id: id, nodes: make(map[task.Position]*node)}
		f.traces[id] = t
	}
	return t
}

func (t *trace) node(pos task.Position) *node {
	if t.last != nil && t.last.pos == pos {
		return t.last
	}
	n := t.nodes[pos]
	if n == nil {
		n = &node{pos: pos}
		t.nodes[pos] = n
	}
	t.last = n
	return n
}
