package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// said is an entry as the test's own book has it.
type said struct {
	trace string
	in    task.Position // the task's position
	n     uint64
	proc  string
	event entry.Event
	subj  string
	line  []byte
}

// book is where all processes of a test write, through the real library.
type book struct {
	mu  sync.Mutex // guards all
	all []said
}

func (b *book) Write(line []byte) (int, error) {
	e, err := entry.Parse(bytes.Clone(line))
	if err != nil {
		return 0, err
	}
	level := e.Level.Token()
	if e.Meta.Event != "" {
		level = subject.TaskLevel
	}
	s := said{trace: e.Meta.Trace, proc: e.Meta.Proc, event: e.Meta.Event, line: e.Raw, subj: subject.In("dlog", e.Meta.Svc, level, e.Meta.Path)}
	if e.Meta.Pos != "" {
		in, last, _ := task.Position(e.Meta.Pos).Split()
		s.in, s.n = in, last.N
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, s)
	return len(line), nil
}

// fillBook runs programs whose tasks nest, hand over to one another, and are handed over to by strangers, at random.
func fillBook(t *testing.T, r *rand.Rand, size int) *book {
	t.Helper()
	b := &book{}
	var procs []*structure.Process
	for i, svc := range []string{"gateway", "checkout", "payments", "mail"} {
		p, err := structure.New(structure.Config{Service: svc, Out: structure.Writer(b)})
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // the others never say whether they live
			p.Event(entry.Birth, zerolog.InfoLevel, []byte(`{"message":"birth"}`))
		}
		procs = append(procs, p)
	}
	anyone := func() *structure.Process { return procs[r.IntN(len(procs))] }
	var grow func(p *structure.Process, ctx context.Context, tk *structure.Task, depth int)
	grow = func(p *structure.Process, ctx context.Context, tk *structure.Task, depth int) {
		for range r.IntN(14) {
			switch k := r.IntN(10); {
			case depth > 8 || len(b.all) > size || k < 6:
				zerolog.Ctx(ctx).Info().Msg("said")
			case k < 8:
				ctx, child := p.Start(ctx, "step-"+strconv.Itoa(r.IntN(3)))
				grow(p, ctx, child, depth+1)
			default:
				token := tk.Export("another")
				for range r.IntN(3) {
					q := anyone()
					ctx, far := q.Import(context.Background(), token, "far")
					grow(q, ctx, far, depth+1)
				}
			}
		}
		tk.End(nil)
	}
	for len(b.all) < size {
		p, token := anyone(), ""
		if r.IntN(6) == 0 {
			token = fmt.Sprintf("00-%032x-%016x-01", r.Uint64()+1, r.Uint64()+1)
		}
		ctx, root := p.Import(context.Background(), token, "order")
		grow(p, ctx, root, 0)
	}
	return b
}

// hole is a line of gaps --format json.
type hole struct{ Trace, Pos, Reason string }

func (h hole) String() string { return h.Trace + " " + h.Pos + " " + h.Reason }

// holes says, from what was kept alone and independently of pkg/tree, which positions must be absent: in each task that something kept
// shows, the numbers up to its end, or up to the greatest that something stands at.
func holes(kept []said) []string {
	type key struct {
		trace string
		pos   task.Position
	}
	type seen struct {
		entries, tasks map[uint64]bool // tasks that stand at the number itself, not at a claim of it
		greatest, end  uint64
		proc           string
	}
	tasks := map[key]*seen{}
	lives := map[string]bool{}
	var visit func(trace string, pos task.Position) *seen
	visit = func(trace string, pos task.Position) *seen {
		s := tasks[key{trace, pos}]
		if s != nil {
			return s
		}
		s = &seen{entries: map[uint64]bool{}, tasks: map[uint64]bool{}}
		tasks[key{trace, pos}] = s
		if parent, last, ok := pos.Split(); ok && last.Foreign == "" {
			above := visit(trace, parent)
			above.greatest = max(above.greatest, last.N)
			if last.Attempt == "" {
				above.tasks[last.N] = true
			}
		}
		return s
	}
	for _, k := range kept {
		if k.n == 0 {
			lives[k.proc] = true
			continue
		}
		s := visit(k.trace, k.in)
		s.entries[k.n], s.proc = true, k.proc
		s.greatest = max(s.greatest, k.n)
		if k.event == entry.End {
			s.end = k.n
		}
	}
	var all []string
	for k, s := range tasks {
		for n := uint64(1); n <= max(s.end, s.greatest); n++ {
			if !s.entries[n] && !s.tasks[n] {
				all = append(all, hole{k.trace, string(k.pos.Child(n)), "missing"}.String())
			}
		}
		if s.end == 0 && !lives[s.proc] {
			all = append(all, hole{k.trace, string(k.pos.Child(s.greatest + 1)), "no-end"}.String())
		}
	}
	slices.Sort(all)
	return all
}

// runSink runs dlog-sink in this process and returns what it prints.
func runSink(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	if code := Run(t.Context(), sinkCommand(env), env, args); code != exitOK {
		t.Fatalf("dlog-sink %s: exit code %d: %s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}

// gapsOf reads the output of gaps --format json.
func gapsOf(t *testing.T, args ...string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(runSink(t, append([]string{"gaps", "--format", "json"}, args...)...)) {
		var h hole
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&h); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, h.String())
	}
	slices.Sort(all)
	return all
}

// deleteSome drops entries with the given probability, and shuffles what it keeps.
func deleteSome(r *rand.Rand, all []said, share float64) []said {
	var kept []said
	for _, s := range all {
		if r.Float64() >= share {
			kept = append(kept, s)
		}
	}
	r.Shuffle(len(kept), func(i, k int) { kept[i], kept[k] = kept[k], kept[i] })
	return kept
}

var shares = []float64{0, 0.01, 0.25, 0.8}

// TestGapsInFiles spreads what is left of thousands of entries over files, some twice.
func TestGapsInFiles(t *testing.T) {
	for i, share := range shares {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		kept := deleteSome(r, fillBook(t, r, 6000).all, share)
		var files [3]bytes.Buffer
		for _, s := range kept {
			for range 1 + r.IntN(5)/4 {
				f := &files[r.IntN(len(files))]
				f.Write(s.line)
				f.WriteByte('\n')
			}
		}
		var args []string
		for k := range files {
			name := filepath.Join(t.TempDir(), fmt.Sprintf("%d.log", k))
			if err := os.WriteFile(name, files[k].Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--file", name)
		}
		want := holes(kept)
		if diff := cmp.Diff(want, gapsOf(t, args...)); diff != "" {
			t.Fatalf("share %v (-want +got):\n%s", share, diff)
		}
		if share > 0 && len(want) == 0 {
			t.Errorf("share %v: nothing is absent", share)
		}
		trace := kept[0].trace
		for k := 0; trace == ""; k++ {
			trace = kept[k].trace
		}
		only := slices.DeleteFunc(want, func(h string) bool { return !strings.HasPrefix(h, trace) })
		if diff := cmp.Diff(only, gapsOf(t, append(args, trace)...)); len(only) > 0 && diff != "" {
			t.Errorf("trace %s (-want +got):\n%s", trace, diff)
		}
	}
}

// server starts a JetStream with the stream that everything is said to.
func server(t *testing.T) (string, jetstream.JetStream) {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []stream.Spec{stream.SpecIn("dlog", stream.Keep{MaxBytes: 1 << 30}), stream.SpecTo("dlog", "team", stream.Keep{MaxBytes: 1 << 30})} {
		if err := stream.Ensure(t.Context(), js, spec); err != nil {
			t.Fatal(err)
		}
	}
	return s.URL(), js
}

// publish stores entries, those of one subject in packs of up to three lines.
func publish(t *testing.T, js jetstream.JetStream, all []said, subj func(said) string) {
	t.Helper()
	packs := map[string][]byte{}
	count := map[string]int{}
	send := func(subj string) {
		if _, err := js.PublishAsync(subj, bytes.Clone(packs[subj])); err != nil {
			t.Fatal(err)
		}
		packs[subj], count[subj] = packs[subj][:0], 0
	}
	for _, s := range all {
		to := subj(s)
		packs[to] = append(append(packs[to], s.line...), '\n')
		if count[to]++; count[to] == 3 {
			send(to)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(packs)) {
		if count[to] > 0 {
			send(to)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not answer")
	}
}

// TestGapsInStream reads the same from a stream; a window in which only a part of the tasks lies changes nothing in these.
func TestGapsInStream(t *testing.T) {
	for i, share := range shares {
		r := rand.New(rand.NewPCG(uint64(i), 6))
		kept := deleteSome(r, fillBook(t, r, 4000).all, share)
		url, js := server(t)
		publish(t, js, kept, func(s said) string { return s.subj })
		if diff := cmp.Diff(holes(framed(kept)), gapsOf(t, "--nats", url)); diff != "" {
			t.Fatalf("share %v (-want +got):\n%s", share, diff)
		}
	}
}

// framed leaves out the traces of which no start, end or export is left: nothing in the index of a stream names them.
func framed(kept []said) []said {
	named := map[string]bool{"": true}
	for _, s := range kept {
		named[s.trace] = named[s.trace] || s.event != ""
	}
	return slices.DeleteFunc(slices.Clone(kept), func(s said) bool { return !named[s.trace] })
}

// TestGapsReasons wants of a stream that its limits cut, and of one that is not sent everything, the reasons that go with it.
func TestGapsReasons(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	all := fillBook(t, r, 2000).all
	url, js := server(t)
	publish(t, js, all, func(s said) string { return s.subj })
	publish(t, js, all[len(all)/2:], func(s said) string { return subject.InToTo(s.subj, "dlog", "team") })
	reasons := func(args ...string) map[string]int {
		count := map[string]int{}
		for _, h := range gapsOf(t, append(args, "--nats", url)...) {
			words := strings.Fields(h)
			count[words[2]]++
		}
		return count
	}
	if got := reasons(); len(got) != 0 {
		t.Fatalf("of all: %v", got)
	}
	if got := reasons("--stream", "team"); len(got) != 1 || got["elsewhere"] == 0 {
		t.Errorf("of a team's stream: %v", got)
	}
	in, err := js.Stream(t.Context(), subject.StreamName("dlog", "in", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Purge(t.Context(), jetstream.WithPurgeSequence(in.CachedInfo().State.LastSeq/2)); err != nil {
		t.Fatal(err)
	}
	if got := reasons(); got["expired"] == 0 {
		t.Errorf("of a stream that was cut: %v", got)
	}
}
