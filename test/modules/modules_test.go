// Package modules shows that structured logging, record logging and transport are modules of their own: for each there is a program
// that is built with it alone.
package modules

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

const module = "github.com/dlog-fabric/dlog/"

// build builds a program and returns it with the packages in it.
func build(t *testing.T, name string) (program string, deps map[string]bool) {
	t.Helper()
	program = filepath.Join(t.TempDir(), name)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	command(t, exec.Command("go", "build", "-o", program, "./"+name))
	deps = map[string]bool{}
	for dep := range strings.FieldsSeq(string(command(t, exec.Command("go", "list", "-deps", "./"+name)))) {
		deps[dep] = true
	}
	return program, deps
}

// command runs a command and returns what it printed.
func command(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}

// alone fails unless a program has the one module and not what is listed.
func alone(t *testing.T, deps map[string]bool, name string, not ...string) {
	t.Helper()
	if !deps[module+"pkg/"+name] {
		t.Errorf("the program is built without %s", name)
	}
	for dep := range deps {
		for _, n := range not {
			if strings.HasPrefix(dep, n) || strings.HasPrefix(dep, module+n) {
				t.Errorf("the program with %s alone depends on %s", name, dep)
			}
		}
	}
}

func entries(t *testing.T, lines []byte) (all []entry.Entry) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		e, err := entry.Parse(bytes.Clone(line))
		if err != nil || !e.HasMeta {
			t.Fatalf("not an entry: %v %s: %s", err, e.MetaErr, line)
		}
		all = append(all, e)
	}
	return all
}

func TestStructureAlone(t *testing.T) {
	program, deps := build(t, "structure")
	alone(t, deps, "structure", "github.com/nats-io/", "pkg/transport", "pkg/record", "pkg/dlog", "pkg/stream")
	f := tree.New()
	for _, e := range entries(t, command(t, exec.Command(program))) {
		f.Add(e)
	}
	roots := f.Roots()
	if len(roots) != 1 || roots[0].Outcome != task.Failed || roots[0].MissingCount() != 0 {
		t.Fatalf("%d trees: %+v", len(roots), roots)
	}
	if cause := roots[0].Cause(); cause == nil || cause.Path != "place-order/charge-card" || cause.Error != "card declined" {
		t.Errorf("cause: %+v", cause)
	}
}

func TestRecordAlone(t *testing.T) {
	program, deps := build(t, "record")
	alone(t, deps, "record", "github.com/nats-io/", "pkg/transport", "pkg/structure", "pkg/spool", "pkg/dlog", "pkg/stream", "pkg/subject")
	all := entries(t, command(t, exec.Command(program)))
	if len(all) != 3 || all[0].Meta.Event != entry.Birth || all[1].Meta.Time == "" || all[1].Meta.Logger != "orders" || all[2].Meta.Func != "main.run" {
		t.Errorf("%d entries: %+v", len(all), all)
	}
}

func TestTransportAlone(t *testing.T) {
	program, deps := build(t, "transport")
	alone(t, deps, "transport", "github.com/nats-io/nats-server", "pkg/structure", "pkg/record", "pkg/dlog")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	msgs := listen(ctx, t, func(url string) {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "DLOG_URL="+url)
		command(t, cmd)
	})
	var got []string
	for _, m := range msgs {
		for _, e := range entries(t, m.Data()) {
			message, _ := e.Field("msg") // slog's own key
			got = append(got, m.Subject()+" "+string(message.Text(nil)))
		}
	}
	slices.Sort(got)
	if want := []string{"dlog.in.shop.error.- card declined", "dlog.in.shop.info.- reserved"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// listen starts a server with a stream, runs what publishes there, and returns what was stored.
func listen(ctx context.Context, t *testing.T, publish func(url string)) []jetstream.Msg {
	t.Helper()
	s, err := natsd.Start(ctx, natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "DLOG_IN", Subjects: []string{"dlog.in.>"}}); err != nil {
		t.Fatal(err)
	}
	publish(s.URL())
	cons, err := js.OrderedConsumer(ctx, "DLOG_IN", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.FetchNoWait(100)
	if err != nil {
		t.Fatal(err)
	}
	var msgs []jetstream.Msg
	for m := range batch.Messages() {
		msgs = append(msgs, m)
	}
	return msgs
}
