package gen

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Config says what to make. The zero value is a million entries at ten million a day.
type Config struct {
	// Seed makes runs differ.
	Seed uint64
	// Entries is how many there are; 0 means 1,000,000.
	Entries int
	// Rate is how many there are in a second of the shop's time, on average; 0 means 115, which is ten million a day.
	Rate float64
	// Start is the shop's time of the first entry; zero means 2026-11-22 00:00 UTC.
	Start time.Time
	// Failures is the share of outermost tasks that fail; 0 means 0.02, a negative number none.
	Failures float64
	// Long is how many tasks run from the beginning to the end, with an entry each minute. Huge makes the tenth task one of that many
	// entries, said within ten minutes.
	Long, Huge int
	// Namespace of the subjects; "" means dlog.
	Namespace string
}

func (c Config) orDefaults() Config {
	if c.Entries == 0 {
		c.Entries = 1_000_000
	}
	if c.Rate == 0 {
		c.Rate = 115
	}
	if c.Start.IsZero() {
		c.Start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	}
	if c.Failures == 0 {
		c.Failures = 0.02
	}
	if c.Namespace == "" {
		c.Namespace = "dlog"
	}
	return c
}

// Entry is one entry as a stream would hold it.
type Entry struct {
	// Line is the JSON without a line end, valid until the next call of Next.
	Line []byte
	// Subject it would be published under, and Time when the stream would have stored it.
	Subject string
	Time    time.Time
	// Trace is zero on entries outside of any task. Proc and Seq are the entry's identity.
	Trace task.Trace
	Proc  task.Process
	Seq   uint64
}

// Generator makes entries one after the other. It is for one goroutine.
type Generator struct {
	cfg      Config
	rng      *rand.Rand
	services []*service
	subjects map[subjectKey]string
	queue    queue
	clock    int64 // ns of the last outermost task's start
	made     int
	begun    int
	line     []byte
}

// New returns a generator at its beginning.
func New(cfg Config) *Generator {
	g := &Generator{cfg: cfg.orDefaults(), subjects: map[subjectKey]string{}}
	g.rng = rand.New(rand.NewPCG(g.cfg.Seed, 0x64_6c_6f_67))
	g.clock = g.cfg.Start.UnixNano()
	for _, name := range serviceNames {
		s := &service{name: name}
		for i := range s.proc {
			s.proc[i] = byte(g.rng.Uint32())
		}
		s.proc[0] |= 1
		g.services = append(g.services, s)
		g.push(item{at: g.clock, service: s, level: entry.Info, event: entry.Birth, body: birthBody(name, g.rng)})
	}
	for range g.cfg.Long {
		g.longTask()
	}
	return g
}

// meanEntries is how many entries an outermost task has on average, found by counting; it turns the rate of entries into one of tasks.
const meanEntries = 50

// Next returns the next entry, and false after the last.
func (g *Generator) Next() (Entry, bool) {
	if g.made >= g.cfg.Entries {
		return Entry{}, false
	}
	for len(g.queue) == 0 || g.queue[0].at >= g.clock {
		g.clock += int64(g.rng.ExpFloat64() * 1e9 * meanEntries / g.cfg.Rate)
		if g.begun++; g.begun == 10 && g.cfg.Huge > 0 {
			g.hugeTask()
			continue
		}
		g.order()
	}
	it := heap.Pop(&g.queue).(item)
	g.made++
	return g.entry(it), true
}

// entry gives an item its number and writes its line.
func (g *Generator) entry(it item) Entry {
	s := it.service
	s.seq++
	at := time.Unix(0, it.at).UTC()
	e := Entry{Time: at, Proc: s.proc, Seq: s.seq, Trace: it.trace}
	b := append(g.line[:0], `{"level":"`...)
	b = append(b, it.level.String()...)
	b = append(b, '"', ',')
	b = append(b, it.body...)
	b = append(b, `,"time":"`...)
	b = at.Add(-time.Duration(g.rng.IntN(9000))*time.Microsecond).AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","message":`...)
	b = entry.AppendString(b, it.message)
	b = append(b, '}')
	m := entry.Meta{Svc: s.name, Proc: s.proc.String(), Seq: s.seq, Event: it.event, Outcome: it.outcome, N: it.n}
	if !it.trace.IsZero() {
		m.Trace, m.Pos, m.Path = it.trace.String(), string(it.pos), it.path
	}
	if it.event == entry.End {
		m.ElapsedMS, m.HasElapsed = math.Round(float64(it.at-it.started)/1e3)/1e3, true
		m.Started = time.Unix(0, it.started).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	b = append(b[:len(b)-1], `,"dlog":`...)
	b = append(entry.AppendMeta(b, m), '}')
	g.line = b
	e.Line, e.Subject = b, g.subject(it)
	return e
}

type subjectKey struct {
	service, level, path string
}

func (g *Generator) subject(it item) string {
	k := subjectKey{it.service.name, it.level.Token(), it.path}
	if it.event != "" {
		k.level = subject.TaskLevel
	}
	s, ok := g.subjects[k]
	if !ok {
		s = subject.In(g.cfg.Namespace, k.service, k.level, k.path)
		g.subjects[k] = s
	}
	return s
}

// trace makes an id as dlog does, but from the shop's clock and the seed.
func (g *Generator) trace(at int64) task.Trace {
	var t task.Trace
	ms := uint64(at / 1e6)
	for i := range 6 {
		t[i] = byte(ms >> (40 - 8*i))
	}
	r1, r2 := g.rng.Uint64(), g.rng.Uint64()
	for i := range 8 {
		t[8+i] = byte(r1 >> (8 * i))
	}
	t[6], t[7], t[8] = 0x70|byte(r2)&15, byte(r2>>8), t[8]&0x3f|0x80
	return t
}

func (g *Generator) attempt() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var b [5]byte
	for i := range b {
		b[i] = alphabet[g.rng.IntN(32)]
	}
	return string(b[:])
}

func (g *Generator) push(it item) { heap.Push(&g.queue, it) }

// item is an entry that waits for its time.
type item struct {
	at, started int64
	service     *service
	level       entry.Level
	event       entry.Event
	outcome     task.Outcome
	n           uint64
	trace       task.Trace
	pos         task.Position
	path        string
	body        string // members, without braces
	message     string
}

// service is one of the processes.
type service struct {
	name string
	proc task.Process
	seq  uint64
}

// queue is a heap by time.
type queue []item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	old := *q
	it := old[len(old)-1]
	old[len(old)-1] = item{}
	*q = old[:len(old)-1]
	return it
}
