package record_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/record"
	"github.com/rs/zerolog"
)

func parse(t *testing.T, line []byte) entry.Entry {
	t.Helper()
	e, err := entry.Parse(line)
	if err != nil || !e.HasMeta {
		t.Fatalf("not an entry: %v %s: %s", err, e.MetaErr, line)
	}
	return e
}

// last returns the last line that was written.
func last(t *testing.T, out *bytes.Buffer) entry.Entry {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	return parse(t, bytes.Clone(lines[len(lines)-1]))
}

func newRecorder(t testing.TB, cfg record.Config) (*record.Recorder, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	if cfg.Service == "" {
		cfg.Service = "shop"
	}
	cfg.Out = &out
	r, err := record.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, &out
}

func TestBirth(t *testing.T) {
	_, out := newRecorder(t, record.Config{Fields: map[string]any{"region": "eu-1"}})
	e := last(t, out)
	if e.Meta.Event != entry.Birth || e.Meta.Seq != 1 || e.Meta.Svc != "shop" || e.Message != "birth" || e.Time.IsZero() || e.Level != entry.Info {
		t.Errorf("birth: %s", e.Raw)
	}
	var b struct {
		PID    int
		Host   string
		Go     string
		OS     string
		Args   []string
		Build  struct{ Module string }
		Fields map[string]string
	}
	if err := json.Unmarshal(e.Raw, &b); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if b.PID != os.Getpid() || b.Host != host || b.Go != runtime.Version() || b.OS != runtime.GOOS || b.Fields["region"] != "eu-1" || len(b.Args) != len(os.Args) {
		t.Errorf("birth: %s", e.Raw)
	}
}

func TestBirthNamesRenamedKeys(t *testing.T) {
	zerolog.MessageFieldName, zerolog.LevelFieldName = "msg", "severity"
	defer func() { zerolog.MessageFieldName, zerolog.LevelFieldName = "message", "level" }()
	_, out := newRecorder(t, record.Config{})
	if !strings.Contains(out.String(), `"zerolog":{"level":"severity","message":"msg"}`) || !strings.Contains(out.String(), `"msg":"birth"`) ||
		!strings.HasPrefix(out.String(), `{"severity":"info"`) {
		t.Errorf("birth: %s", out)
	}
}

func TestSecretsInArgumentsAreMasked(t *testing.T) {
	old := os.Args
	defer func() { os.Args = old }()
	f := func(args, want string) {
		t.Helper()
		os.Args = append([]string{"prog"}, strings.Fields(args)...)
		_, out := newRecorder(t, record.Config{})
		var b struct{ Args []string }
		if err := json.Unmarshal(last(t, out).Raw, &b); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.Args[1:], " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	f("--listen :80 -v", "--listen :80 -v")
	f("--db-password hunter2 --x 1", "--db-password *** --x 1")
	f("--db-password=hunter2", "--db-password=***")
	f("-token a -api-key=b", "-token *** -api-key=***")
	f("--secret --verbose", "--secret --verbose")
	f("postgres://u:pw@h/db nats://h:4222", "postgres://u:***@h/db nats://h:4222")
}

func TestWhatAnEntryGets(t *testing.T) {
	r, out := newRecorder(t, record.Config{})
	l := r.Attach(zerolog.New(nil), "orders")
	stamped := l.With().Timestamp().Logger()
	_, _, line, _ := runtime.Caller(0)

	l.Info().Msg("no time, no caller")
	e := last(t, out)
	if e.Meta.Logger != "orders" || e.Meta.Time == "" || e.Meta.Caller != "" || e.Meta.Seq != 2 {
		t.Errorf("%s", e.Raw)
	}
	stamped.Warn().Msg("time and caller")
	e = last(t, out)
	if e.Meta.Time != "" || e.Meta.Caller != "record/record_test.go:"+strconv.Itoa(line+7) || !strings.HasSuffix(e.Meta.Func, "record_test.TestWhatAnEntryGets") {
		t.Errorf("%s", e.Raw)
	}
	l.Log().Send()
	if e = last(t, out); e.Meta.Caller != "" || !strings.HasPrefix(string(e.Raw), `{"dlog":{`) {
		t.Errorf("%s", e.Raw)
	}
	l.Info().Dict("inner", zerolog.Dict().Str("time", "not the entry's")).Msg(`"time":1`)
	if e = last(t, out); e.Meta.Time == "" {
		t.Errorf("a nested time is not the entry's: %s", e.Raw)
	}
	stamped.Info().Dict("inner", zerolog.Dict().Str("time", "not the entry's")).Send()
	if e = last(t, out); e.Meta.Time != "" {
		t.Errorf("two times: %s", e.Raw)
	}
	l.Info().RawJSON("b", []byte("{\n}")).Send()
	last(t, out)
	_, _ = r.Writer("").Write([]byte("plain text\n"))
	if e = last(t, out); e.Message != "plain text" {
		t.Errorf("%s", e.Raw)
	}
}

func TestCallerLevels(t *testing.T) {
	f := func(word string, l zerolog.Level, want bool) {
		t.Helper()
		r, out := newRecorder(t, record.Config{Caller: word})
		logger := r.Attach(zerolog.New(nil))
		logger.WithLevel(l).Send()
		if e := last(t, out); (e.Meta.Caller != "") != want {
			t.Errorf("caller %q at %s: %s", word, l, e.Raw)
		}
	}
	f("", zerolog.InfoLevel, false)
	f("", zerolog.ErrorLevel, true)
	f("", zerolog.PanicLevel, true)
	f("", zerolog.NoLevel, false)
	f("trace", zerolog.TraceLevel, true)
	f("never", zerolog.PanicLevel, false)
	if _, err := record.New(record.Config{Caller: "loud"}); err == nil {
		t.Error("no error for a level that is none")
	}
	if _, err := record.New(record.Config{Fields: map[string]any{"f": func() {}}}); err == nil {
		t.Error("no error for a field that is a function")
	}
}

func helper(l *zerolog.Logger) { l.Error().Send() }

func TestCallerThroughOthers(t *testing.T) {
	r, out := newRecorder(t, record.Config{})
	l := r.Attach(zerolog.New(nil))
	slog.New(zerolog.NewSlogHandler(l)).Error("through slog")
	if e := last(t, out); !strings.HasSuffix(e.Meta.Func, "TestCallerThroughOthers") {
		t.Errorf("%s", e.Raw)
	}
	helper(&l)
	if e := last(t, out); !strings.HasSuffix(e.Meta.Func, "helper") {
		t.Errorf("%s", e.Raw)
	}
	r, out = newRecorder(t, record.Config{Wrappers: []string{"github.com/dlog-fabric/dlog/pkg/record_test"}})
	l = r.Attach(zerolog.New(nil))
	helper(&l)
	if e := last(t, out); !strings.HasPrefix(e.Meta.Func, "testing.") {
		t.Errorf("%s", e.Raw)
	}
}

func TestManyGoroutines(t *testing.T) {
	r, out := newRecorder(t, record.Config{})
	var wg sync.WaitGroup
	for range 8 {
		l := r.Attach(zerolog.New(nil))
		wg.Go(func() {
			for range 100 {
				l.Error().Msg("m")
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for line := range bytes.Lines(out.Bytes()) {
		seen[parse(t, line).Meta.Seq] = true
	}
	if len(seen) != 801 {
		t.Errorf("%d numbers", len(seen))
	}
}

func TestAWriterThatFailsIsTold(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	r, err := record.New(record.Config{Out: f})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Writer("").Write([]byte("{}\n")); err == nil {
		t.Error("no error")
	}
}

func TestAllocations(t *testing.T) {
	r, err := record.New(record.Config{})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(`{"level":"warn","n":1,"time":"2026-11-22T16:02:11Z","message":"m"}` + "\n")
	f := func(level zerolog.Level, want bool) {
		t.Helper()
		keys, _ := r.Look(level, line, false)
		if (len(keys) > 0) != want {
			t.Errorf("keys %q", keys)
		}
		if n := testing.AllocsPerRun(1000, func() { r.Look(level, line, false) }); n != 0 {
			t.Errorf("%s: %v allocations", level, n)
		}
	}
	f(zerolog.InfoLevel, false)
	f(zerolog.WarnLevel, true)
}

func BenchmarkLook(b *testing.B) {
	r, err := record.New(record.Config{})
	if err != nil {
		b.Fatal(err)
	}
	line := []byte(`{"level":"warn","n":1,"time":"2026-11-22T16:02:11Z","message":"m"}` + "\n")
	for _, l := range []zerolog.Level{zerolog.InfoLevel, zerolog.WarnLevel} {
		b.Run(l.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Look(l, line, false)
			}
		})
	}
}

func ExampleNew() {
	r, err := record.New(record.Config{Service: "checkout", Out: os.Stdout})
	if err != nil {
		panic(err)
	}
	logger := r.Attach(zerolog.New(nil), "orders")
	logger.Warn().Msg("stock is low") // {"level":"warn","message":"stock is low","dlog":{…,"logger":"orders","caller":"shop/stock.go:12",…}}
}
