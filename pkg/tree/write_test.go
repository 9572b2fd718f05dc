package tree

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

var (
	day   = time.Date(2026, 11, 22, 16, 2, 0, 0, time.UTC)
	later = func() time.Time { return day.Add(time.Minute) }
)

const trace1 = "0193a5e1c0007a1b8c2d3e4f5a6b7c8d"

// process writes entries as one run of a program does.
type process struct {
	svc   string
	id    task.Process
	seq   uint64
	lines *[]line
}

// line is an entry with what a test wants to know of it.
type line struct {
	pos task.Position
	raw []byte
}

// newProcess gives a service one process, whose id is the same in every run.
func newProcess(svc string, lines *[]line) *process {
	p := &process{svc: svc, lines: lines}
	copy(p.id[:], svc)
	return p
}

// say writes one entry; the fields of m that identify it are filled in.
func (p *process) say(trace, path string, pos task.Position, level, message string, m entry.Meta) {
	p.seq++
	m.Svc, m.Trace, m.Path, m.Pos, m.Proc, m.Seq = p.svc, trace, path, string(pos), p.id.String(), p.seq
	body := fmt.Sprintf(`{"level":%q,"time":%q,"message":%q`, level, day.Add(time.Duration(p.seq)*time.Millisecond).Format(time.RFC3339Nano), message)
	if m.Outcome.Bad() {
		body += fmt.Sprintf(`,"error":"%s went wrong"`, message)
	}
	raw, ok := entry.AppendLine(nil, []byte(body+"}"), m)
	if !ok {
		panic("test writes no object")
	}
	*p.lines = append(*p.lines, line{pos, raw})
}

// sign writes a birth, beat or death.
func (p *process) sign(event entry.Event) {
	p.say("", "", "", "info", string(event), entry.Meta{Event: event})
}

// running is a task being written.
type running struct {
	p     *process
	trace string
	path  string
	pos   task.Position
	n     uint64
}

func (p *process) start(trace, path string, pos task.Position) *running {
	r := &running{p: p, trace: trace, path: path, pos: pos}
	r.say("debug", task.BaseName(path), entry.Meta{Event: entry.Start})
	return r
}

func (r *running) next() task.Position {
	r.n++
	return r.pos.Child(r.n)
}

func (r *running) say(level, message string, m entry.Meta) {
	r.p.say(r.trace, r.path, r.next(), level, message, m)
}

func (r *running) info(message string) { r.say("info", message, entry.Meta{}) }

func (r *running) child(name string) *running {
	return r.p.start(r.trace, task.JoinPath(r.path, name), r.next())
}

// export hands over; what it returns is the position to claim.
func (r *running) export() task.Position {
	pos := r.next()
	r.p.say(r.trace, r.path, pos, "debug", "handed over", entry.Meta{Event: entry.Export})
	return pos
}

func (r *running) end(o task.Outcome) {
	level := "info"
	if o.Bad() {
		level = "error"
	}
	r.say(level, task.BaseName(r.path), entry.Meta{Event: entry.End, Outcome: o, N: r.n + 1, ElapsedMS: 1.5, HasElapsed: true})
}

// randomTree writes a tree over several processes. Half of its lines come from
// each of: entries, sub-tasks, hand-overs that are claimed never to three times.
func randomTree(r *rand.Rand, procs []*process, trace string, size int) {
	budget := size
	var grow func(t *running, depth int)
	grow = func(t *running, depth int) {
		for range r.IntN(12) {
			budget--
			switch k := r.IntN(10); {
			case budget <= 0 || depth > 12 || k < 5:
				t.info("said")
			case k < 8:
				grow(t.child(fmt.Sprintf("step-%d", r.IntN(3))), depth+1)
			default:
				pos := t.export()
				for range r.IntN(4) {
					p := procs[r.IntN(len(procs))]
					grow(p.start(trace, task.JoinPath(t.path, "remote"), pos.Claim(task.NewAttempt())), depth+1)
				}
			}
		}
		t.end([]task.Outcome{task.Succeeded, task.Failed, task.Cancelled}[r.IntN(3)])
	}
	root := procs[0].start(trace, "order", "")
	for budget > 0 {
		grow(root.child("part"), 1)
	}
	root.end(task.Succeeded)
}

// rawLines returns the lines alone.
func rawLines(lines []line) [][]byte {
	raw := make([][]byte, len(lines))
	for i, l := range lines {
		raw[i] = l.raw
	}
	return raw
}
