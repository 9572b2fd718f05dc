package store

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// record is an entry on its way into a block.
type record struct {
	line    []byte
	subject *subjectInfo
	seq     uint64
	ms      int64
	proc    task.Process // of the line, once it was looked at; zero: no identity
	number  uint64
	old     bool // it is stored already, in a block that is being merged: counted then
}

// Flags of a block. From levelShift on there is a bit for each level that the JSON of an entry of tasks has.
const (
	flagOddTrace = 1 << iota // a trace does not stand in its line as 32 hex digits
	flagExponent             // a number has an exponent, so words do not tell its value
	levelShift   = 8
)

// levelBit is the flag of a level of entries of tasks.
func levelBit(l entry.Level) int64 { return 1 << (levelShift + int(l) + 1) }

// built is a block, and what is to be noted about its entries.
type built struct {
	records              []record
	bytes                int
	firstSeq, lastSeq    uint64
	firstTime, lastTime  int64
	flags                int64
	heads, lines, filter []byte
	traces               []traceCount
	identities           []identities
	// Of the entries that are not old:
	entries   int
	counts    map[countKey]countValue
	durations map[durationKey]int64
	processes map[task.Process]*process
	tasks     []taskChange
}

type traceCount struct {
	trace           task.Trace
	entries, errors int64
}

type identities struct {
	proc        task.Process
	first, last uint64
	runs        []byte
}

type countKey struct {
	minute         int64
	service        string
	level          entry.Level
	event, outcome string
}

type countValue struct{ entries, bytes int64 }

type durationKey struct{ subject, bucket int64 }

// process is what the new entries say of their process.
type process struct {
	subject              int64
	first, last          uint64
	seen                 int64
	birth, beat, death   []byte
	birthTime, deathTime int64
}

// taskChange is what an entry says of its outermost task.
type taskChange struct {
	trace   task.Trace
	root    string // position
	kind    changeKind
	subject int64
	path    string
	seen    int64
	started int64 // µs, 0 unknown
	ended   int64
	elapsed int64 // -1 unknown
	outcome string
	error   string
	pos     string // of the task that failed
}

type changeKind int8

const (
	changeStart changeKind = iota
	changeEnd
	changeCause
)

// builder makes blocks, for one goroutine.
type builder struct {
	pack    *zstd.Encoder
	slots   entry.Slots
	words   hashSet
	raw     []byte
	runs    []run
	text    [64]byte
	long    []byte
	traces  map[task.Trace]int        // index into out.traces
	numbers map[task.Process][]uint64 // of this block
	out     *built
}

func newBuilder() (*builder, error) {
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	return &builder{pack: p, slots: factKeys.NewSlots(), traces: map[task.Trace]int{}, numbers: map[task.Process][]uint64{}}, nil
}

// build makes a block of the records, of which there is at least one. Where it is the only one at a time, its lines are compressed while
// they are looked at.
func (b *builder) build(records []record, alone bool) *built {
	out := &built{
		records: records, counts: map[countKey]countValue{}, durations: map[durationKey]int64{}, processes: map[task.Process]*process{},
		firstSeq: math.MaxUint64, firstTime: math.MaxInt64, lastTime: math.MinInt64,
	}
	b.out = out
	b.words.reset()
	b.raw, b.runs = b.raw[:0], b.runs[:0]
	clear(b.traces)
	clear(b.numbers)
	for i := range records {
		b.raw = append(append(b.raw, records[i].line...), '\n')
		b.head(&records[i])
	}
	out.bytes = len(b.raw)
	var packing sync.WaitGroup
	pack := func() {
		out.lines = b.pack.EncodeAll(b.raw, make([]byte, 0, len(b.raw)/4))
		out.heads = b.pack.EncodeAll(appendHeads(nil, b.runs), nil)
	}
	if alone && len(records) >= worthGoing {
		packing.Go(pack)
	} else {
		pack()
	}
	for i := range records {
		b.look(&records[i])
	}
	out.filter = b.words.filter()
	b.finish()
	packing.Wait()
	b.out = nil
	return out
}

// worthGoing is how many entries make a goroutine worth its while.
const worthGoing = 100

func (b *builder) head(r *record) {
	o := b.out
	o.firstSeq, o.lastSeq = min(o.firstSeq, r.seq), max(o.lastSeq, r.seq)
	o.firstTime, o.lastTime = min(o.firstTime, r.ms), max(o.lastTime, r.ms)
	if n := len(b.runs); n > 0 {
		if last := &b.runs[n-1]; last.seq == r.seq && last.subject == r.subject.id && last.time == r.ms {
			last.entries++
			return
		}
	}
	b.runs = append(b.runs, run{entries: 1, subject: r.subject.id, seq: r.seq, time: r.ms})
}

// look notes what the line says.
func (b *builder) look(r *record) {
	if !r.old {
		b.out.entries++
	}
	if err := factKeys.Scan(r.line, b.slots); err != nil {
		if b.words.addJSON(r.line) { // a reader shows it as it is
			b.out.flags |= flagExponent
		}
		b.out.flags |= levelBit(entry.None)
		b.count(r, &facts{level: entry.None})
		return
	}
	if addWords(&b.words, b.slots, r.line) {
		b.out.flags |= flagExponent
	}
	r.proc, r.number = identityIn(&b.slots[slotProc], &b.slots[slotSeq], b.text[:0])
	if !r.proc.IsZero() {
		b.numbers[r.proc] = append(b.numbers[r.proc], r.number)
	}
	var f facts
	b.facts(r, &f)
	b.trace(&f)
	b.count(r, &f)
	if !r.old {
		b.life(r, &f)
		b.task(r, &f)
	}
}

// trace counts the entry for its trace.
func (b *builder) trace(f *facts) {
	if f.trace.IsZero() {
		return
	}
	i, ok := b.traces[f.trace]
	if !ok {
		i = len(b.out.traces)
		b.traces[f.trace] = i
		b.out.traces = append(b.out.traces, traceCount{trace: f.trace})
	}
	t := &b.out.traces[i]
	t.entries++
	if f.level >= entry.Error && f.level != entry.None {
		t.errors++
	}
}

// count counts the entry for its minute.
func (b *builder) count(r *record, f *facts) {
	if r.old {
		return
	}
	if f.event == entry.End && f.outcome == "" {
		f.outcome, _ = task.ParseOutcome(string(b.slots[slotOutcome].Text(b.text[:0])))
	}
	key := countKey{minute: floorDiv(r.ms, 60_000), service: r.subject.service, level: f.level, event: string(f.event), outcome: string(f.outcome)}
	c := b.out.counts[key]
	c.entries++
	c.bytes += int64(len(r.line)) + 1
	b.out.counts[key] = c
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// life notes what the entry says of its process.
func (b *builder) life(r *record, f *facts) {
	if r.proc.IsZero() {
		return
	}
	p := b.out.processes[r.proc]
	if p == nil {
		p = &process{subject: r.subject.id, first: r.number, last: r.number, seen: r.ms}
		b.out.processes[r.proc] = p
	}
	p.first, p.last, p.seen = min(p.first, r.number), max(p.last, r.number), max(p.seen, r.ms)
	switch f.event {
	case entry.Birth:
		p.birth, p.birthTime = bytes.Clone(r.line), r.ms
	case entry.Beat:
		p.beat = bytes.Clone(r.line)
	case entry.Death:
		p.death, p.deathTime = bytes.Clone(r.line), r.ms
	}
}

// task notes what starts and ends say of their outermost task.
func (b *builder) task(r *record, f *facts) {
	if f.trace.IsZero() || f.event != entry.Start && f.event != entry.End {
		return
	}
	c := taskChange{trace: f.trace, subject: r.subject.id, seen: r.ms, elapsed: -1}
	pos, ok := b.frame(f, &c)
	if !ok {
		return
	}
	if f.event == entry.End && c.elapsed >= 0 {
		b.out.durations[durationKey{r.subject.id, bucketOf(c.elapsed)}]++
	}
	own := string(pos.Parent())
	c.root, c.pos = rootOf(own), own
	if c.path == r.subject.path {
		c.path = ""
	}
	isRoot := own == c.root
	if f.event == entry.Start && isRoot {
		c.kind = changeStart
		b.out.tasks = append(b.out.tasks, c)
	}
	if f.event != entry.End {
		return
	}
	if isRoot {
		c.kind = changeEnd
		b.out.tasks = append(b.out.tasks, c)
	}
	if f.outcome == task.Failed || f.outcome == task.Panicked {
		c.kind = changeCause
		b.out.tasks = append(b.out.tasks, c)
	}
}

// frame fills in what a start or end says; false where its position lies.
func (b *builder) frame(f *facts, c *taskChange) (task.Position, bool) {
	c.outcome = string(f.outcome)
	if e := f.eliot; e != nil {
		c.path, c.error = task.EscapeName(e.Message), e.Error
		at := micros(e.Time)
		if f.event == entry.Start {
			c.started = at
		} else {
			c.ended = at
		}
		return e.Pos(), e.Meta.Pos != ""
	}
	c.path, c.error = b.string(slotPath), ""
	at := b.time()
	if f.event == entry.Start {
		c.started = at
	} else {
		c.ended, c.error = at, b.string(slotError)
		if ms, ok := b.slots[slotElapsed].Number(); ok && ms >= 0 && ms < 1e15 {
			c.elapsed = int64(math.Round(ms * 1000))
		}
		if t, ok := b.slots[slotStarted].Time(); ok {
			c.started = micros(t)
		} else if c.elapsed >= 0 && at != 0 {
			c.started = at - c.elapsed
		}
	}
	pos, err := task.ParsePosition(b.string(slotPos))
	return pos, err == nil && pos != ""
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (b *builder) string(slot int) string {
	v := &b.slots[slot]
	if !v.Present() || v.Kind == entry.Null {
		return ""
	}
	b.long = b.long[:0]
	return string(v.Text(b.long))
}

// time is the entry's own, as package entry reads it.
func (b *builder) time() int64 {
	for _, slot := range [...]int{slotTime, slotTimestamp, slotMetaTime} {
		if t, ok := b.slots[slot].Time(); ok {
			return micros(t)
		}
	}
	return 0
}

// rootOf is the position of the outermost task above a task: a stranger's span, or "".
func rootOf(pos string) string {
	if !strings.HasPrefix(pos, "x") {
		return ""
	}
	root, _, _ := strings.Cut(pos, ".")
	return root
}

// bucketOf is the bucket of a duration in microseconds: eight to a doubling, so a bucket's middle is at most 4.5 % off.
func bucketOf(micros int64) int64 {
	return int64(math.Round(math.Log2(float64(max(1, micros))) * 8))
}

// finish turns what was gathered into rows.
func (b *builder) finish() {
	for p, numbers := range b.numbers {
		slices.Sort(numbers)
		numbers = slices.Compact(numbers)
		b.out.identities = append(b.out.identities, identities{
			proc: p, first: numbers[0], last: numbers[len(numbers)-1], runs: appendRuns(nil, numbers),
		})
	}
	// In the order of the index, so that neighbours go into the same page.
	slices.SortFunc(b.out.identities, func(a, b identities) int { return bytes.Compare(a.proc[:], b.proc[:]) })
	slices.SortFunc(b.out.traces, func(a, b traceCount) int { return bytes.Compare(a.trace[:], b.trace[:]) })
}
