package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/console"
	"github.com/dlog-fabric/dlog/pkg/sink/file"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// within bounds every wait of these tests; the machine may be busy.
const within = 60 * time.Second

// bed is a server with streams.
type bed struct {
	t    *testing.T
	dir  string
	srv  *natsd.Server
	conn *nats.Conn
	js   jetstream.JetStream
	addr string
}

func newBed(t *testing.T, streams ...string) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	b.start()
	t.Cleanup(func() { b.conn.Close(); b.srv.Close() })
	b.ensure(stream.SpecDead("dlog", stream.Keep{}))
	for _, s := range streams {
		b.ensure(stream.SpecTo("dlog", s, stream.Keep{}))
	}
	return b
}

func (b *bed) ensurePayments() { b.ensure(stream.SpecTo("dlog", "payments", stream.Keep{})) }

func (b *bed) data() string { return filepath.Join(b.dir, "data") }

func (b *bed) start() {
	b.t.Helper()
	srv, err := natsd.Start(b.t.Context(), natsd.Config{Listen: b.addr, Data: b.data()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.srv, b.addr = srv, srv.Addr()
	if b.conn != nil {
		b.conn.Close()
	}
	if b.conn, err = nats.Connect(srv.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)); err != nil {
		b.t.Fatal(err)
	}
	if b.js, err = jetstream.New(b.conn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) stop() {
	b.conn.Close()
	b.srv.Close()
}

func (b *bed) ensure(spec stream.Spec) {
	b.t.Helper()
	if err := stream.Ensure(b.t.Context(), b.js, spec); err != nil {
		b.t.Fatal(err)
	}
}

// source says entries with identities, and keeps the ledger of those that the server has acked.
type source struct {
	bed    *bed
	stream string
	proc   task.Process
	router string
	next   uint64 // the last number
	total  uint64
	said   map[string]int // by identity; how many different messages held it
}

func (b *bed) source(streamName string) *source {
	return &source{bed: b, stream: streamName, proc: task.NewProcess(), router: "r1", said: map[string]int{}}
}

// pack makes the next n lines.
func (s *source) pack(n int) (lines []byte, ids []string) {
	for range n {
		s.next++
		id := fmt.Sprintf("%s/%d", s.proc, s.next)
		lines = fmt.Appendf(lines, `{"level":"info","n":%d,"message":"said","dlog":{"svc":"shop","proc":"%s","seq":%d}}`+"\n", s.next, s.proc, s.next)
		ids = append(ids, id)
	}
	return lines, ids
}

// say publishes packs of n entries each.
func (s *source) say(packs, n int) {
	s.bed.t.Helper()
	for range packs {
		lines, ids := s.pack(n)
		s.total += uint64(n)
		s.publish(lines, n, false)
		for _, id := range ids {
			s.said[id]++
		}
	}
}

func (s *source) publish(lines []byte, n int, again bool) uint64 {
	s.bed.t.Helper()
	p := stream.Pack{Subject: "dlog.to." + s.stream + ".shop.info.-", Data: lines, Count: n, Again: again, Total: fmt.Sprintf("%s %d", s.router, s.total)}
	var m nats.Msg
	p.Msg(&m)
	ack, err := s.bed.js.PublishMsg(s.bed.t.Context(), &m)
	if err != nil {
		s.bed.t.Fatal(err)
	}
	return ack.Sequence
}

// config is the text of a sink file with one file sink for each stream.
func (b *bed) config(streams ...string) string {
	text := fmt.Sprintf("[nats]\nurls = [%q]\n", "nats://"+b.addr)
	for _, s := range streams {
		text += fmt.Sprintf("[[sink]]\nname = %q\ntype = \"file\"\nstream = %q\npath = %q\nbatch_wait = \"5ms\"\n", s, s, b.file(s))
	}
	return text
}

func (b *bed) file(name string) string { return filepath.Join(b.dir, name+".ndjson") }

// running is a group in this process.
type running struct {
	*sink.Group
	log  *logged
	stop func() error
}

// run starts the sinks of a file's text.
func (b *bed) run(text string, kinds map[string]sink.NewKind) *running {
	b.t.Helper()
	return b.runTo(text, kinds, io.Discard)
}

func (b *bed) runTo(text string, kinds map[string]sink.NewKind, stdout io.Writer) *running {
	b.t.Helper()
	cfg, err := sink.Decode("test.toml", []byte(text), kinds)
	if err != nil {
		b.t.Fatal(err)
	}
	log := &logged{}
	g, err := sink.New(cfg, sink.Options{Log: zerolog.New(log), Stdout: stdout})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	r := &running{Group: g, log: log}
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	b.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			b.t.Errorf("stop sinks: %v", err)
		}
		if b.t.Failed() {
			b.t.Logf("log of the sinks:\n%s", log)
		}
	})
	return r
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// process is a sink process of its own.
func (b *bed) process(config string) *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it says "killed"
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}

// line is what a test looks at in a stored line.
type line struct {
	Message  string
	Messages uint64
	Entries  *uint64
	Dlog     struct {
		Proc   string
		Seq    uint64
		Event  string
		Reason string
	}
}

// stored reads the lines of a file.
func stored(t *testing.T, path string) []line {
	t.Helper()
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []line
	for raw := range bytes.Lines(data) {
		if !bytes.HasSuffix(raw, []byte("\n")) {
			break // being written
		}
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatalf("%s holds %q: %v", path, raw, err)
		}
		out = append(out, l)
	}
	return out
}

// once fails unless the file holds every entry of the ledger exactly once, and nothing else but gap records, which it returns.
func (s *source) once(path string) []line {
	t := s.bed.t
	t.Helper()
	var gaps []line
	seen := map[string]int{}
	for _, l := range stored(t, path) {
		if l.Dlog.Event == "gap" {
			gaps = append(gaps, l)
			continue
		}
		seen[fmt.Sprintf("%s/%d", l.Dlog.Proc, l.Dlog.Seq)]++
	}
	lost, twice, foreign := 0, 0, 0
	for id := range s.said {
		if seen[id] == 0 {
			lost++
		}
	}
	for id, n := range seen {
		if n > 1 {
			twice++
		}
		if s.said[id] == 0 {
			foreign++
		}
	}
	if lost+twice+foreign > 0 {
		t.Errorf("%s: of %d entries %d are lost, %d stored twice, %d never said", path, len(s.said), lost, twice, foreign)
	}
	return gaps
}

// count is the number of lines in a file.
func count(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return bytes.Count(data, []byte("\n"))
}

// hooked is a file sink whose commits a test can disturb.
type hooked struct {
	file.Config
	before func(sink.Batch) error
}

func (h *hooked) Kind(env sink.Env) (sink.Kind, error) {
	k, err := h.Config.Kind(env)
	return hookedKind{k, h.before}, err
}

type hookedKind struct {
	sink.Kind
	before func(sink.Batch) error
}

func (k hookedKind) Commit(ctx context.Context, b sink.Batch) error {
	if err := k.before(b); err != nil {
		return err
	}
	return k.Kind.Commit(ctx, b)
}

// hook makes kinds whose file sinks ask before each commit.
func hook(before func(sink.Batch) error) map[string]sink.NewKind {
	return map[string]sink.NewKind{"console": console.New, "file": func() sink.Settings {
		return &hooked{Config: *file.New().(*file.Config), before: before}
	}}
}

// dead returns the dead letters, as reason and body.
func (b *bed) dead() map[string]int {
	b.t.Helper()
	out := map[string]int{}
	err := stream.Read(b.t.Context(), b.js, stream.ReadConfig{Stream: "DLOG_DEAD", StopAtEnd: true}, func(p stream.Pack) error {
		out[p.Subject+" "+string(p.Data)]++
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}
