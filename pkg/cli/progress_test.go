package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestProgressLine(t *testing.T) {
	f := func(total, read int64, took time.Duration, width int, want string) {
		t.Helper()
		p := &progress{total: total, read: read, width: width}
		if got := p.line(took); got != want {
			t.Errorf("%d of %d after %v: %q, want %q", read, total, took, got, want)
		}
	}
	f(4<<30, 1<<30, 4*time.Second, 0, "[######------------------]  25 % of 4.00 GiB, 256 MiB/s, 12s left")
	f(4<<30, 0, time.Second, 0, "[------------------------]   0 % of 4.00 GiB, 0 B/s")
	f(10, 10, 2*time.Second, 0, "[########################] 100 % of 10 B, 5 B/s, 0s left")
	f(0, 3<<20, 2*time.Second, 0, "read 3.00 MiB, 1.50 MiB/s")
	f(5, 6, time.Second, 0, "read 6 B, 6 B/s") // the file grows while it is read
	f(4<<30, 1<<30, 4*time.Second, 20, "[######------------")
}

func TestBytesText(t *testing.T) {
	f := func(n float64, want string) {
		t.Helper()
		if got := bytesText(n); got != want {
			t.Errorf("%v is %q, want %q", n, got, want)
		}
	}
	f(0, "0 B")
	f(999, "999 B")
	f(1000, "0.98 KiB")
	f(15<<20+1<<19, "15.5 MiB")
	f(1<<60, "1024 PiB")
}

// TestProgressDrawing: nothing in the first second, then five times a second at most, and the line goes away for others.
func TestProgressDrawing(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := &progress{out: &out, total: 500, now: func() time.Time { return clock }, begun: clock}
	in := p.reader(strings.NewReader(strings.Repeat("x", 500)))
	step := func(d time.Duration) string {
		t.Helper()
		clock = clock.Add(d)
		out.Reset()
		if _, err := io.ReadFull(in, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := step(900 * time.Millisecond); got != "" {
		t.Errorf("short work shows %q", got)
	}
	if got := step(100 * time.Millisecond); got != eraseLine+"[#########---------------]  40 % of 500 B, 200 B/s, 2s left" {
		t.Errorf("after a second it shows %q", got)
	}
	if got := step(100 * time.Millisecond); got != "" {
		t.Errorf("drawn too often: %q", got)
	}
	out.Reset()
	p.clear()
	p.clear()
	if got := out.String(); got != eraseLine {
		t.Errorf("cleared with %q", got)
	}
	if got := step(200 * time.Millisecond); !strings.Contains(got, "80 %") {
		t.Errorf("it does not come back: %q", got)
	}
}

// TestNoProgressInPipes: neither bytes on standard error nor work.
func TestNoProgressInPipes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, stderr := range []io.Writer{w, &bytes.Buffer{}} {
		p := newProgress(Env{Stderr: stderr, Stdout: w, Getenv: os.Getenv}, []string{"progress_test.go"}, false)
		if p != nil {
			t.Error("progress in a pipe")
		}
		p.clear()
		if in := strings.NewReader(""); p.reader(in) != io.Reader(in) {
			t.Error("a reader that nobody watches is wrapped")
		}
	}
}

// TestPackedFiles: readers take what the file sink has compressed, under the service's name that the plain file would give.
func TestPackedFiles(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := `{"level":"info","message":"packed"}` + "\n"
	packed := enc.EncodeAll([]byte(plain), nil)
	path := filepath.Join(t.TempDir(), "shop.ndjson.zst")
	if err := os.WriteFile(path, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(stdin []byte, code int, stdout, stderr string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		env := Env{Stdin: bytes.NewReader(stdin), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		if got := Run(t.Context(), sinkCommand(env), env, append([]string{"find", "--format", "json"}, args...)); got != code {
			t.Errorf("%q: exit code %d", args, got)
		}
		if out.String() != stdout || !strings.Contains(errs.String(), stderr) || stderr == "" && errs.Len() > 0 {
			t.Errorf("%q prints %q and %q", args, &out, &errs)
		}
	}
	f(nil, 0, plain, "", "--file", path, "--where", "service=shop")
	f(append(packed, packed...), 0, plain+plain, "", "--file", "-")
	f([]byte(plain), 0, plain, "", "--file", "-")
	f([]byte("{}"), 0, "{}\n", "", "--file", "-")
	f(packed[:len(packed)-6], 1, "", "read standard input", "--file", "-")
}
