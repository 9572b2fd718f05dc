package sink

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nowhere takes nothing: these tests start no server.
type nowhere struct{}

func (nowhere) Open(context.Context) (Committed, error) { return Committed{}, errors.New("nowhere") }
func (nowhere) Commit(context.Context, Batch) error     { return errors.New("nowhere") }
func (nowhere) Close() error                            { return nil }

// TestMainCommands: one clear line for each mistake, and the exit codes of dlog's programs.
func TestMainCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good, "[[sink]]\nname = \"a\"\ntype = \"nowhere\"\nstream = \"all\"\n")
	write(bad, "[[sink]]\nname = \"a\"\ntype = \"nowere\"\nstream = \"all\"\nnmae = 1\n")
	f := func(code int, stdout, stderr string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		p := program{
			name: "own-sink", stdout: &out, stderr: &errs, getenv: func(name string) string {
				return map[string]string{"DLOG_URL": "nats://user:secret@127.0.0.1:1"}[name]
			},
			kinds: map[string]NewKind{"nowhere": NoSettings(func(Env) (Kind, error) { return nowhere{}, nil })},
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // who gets as far as running stops at once
		if got := p.main(ctx, args); got != code {
			t.Errorf("%q: exit code %d, want %d", args, got, code)
		}
		if !strings.Contains(out.String(), stdout) || !strings.Contains(errs.String(), stderr) || (stderr == "") != (errs.Len() == 0) {
			t.Errorf("%q prints %q and %q, want %q and %q", args, out.String(), errs.String(), stdout, stderr)
		}
		if strings.Contains(out.String()+errs.String(), "secret") {
			t.Errorf("%q shows a password: %s%s", args, &out, &errs)
		}
		if code == exitUsage && strings.Count(errs.String(), "\n") > 2 {
			t.Errorf("%q says much: %s", args, &errs)
		}
	}
	f(exitOK, "-ready-file FILE", "", "--help")
	f(exitOK, "check FILE", "", "run", "-h")
	f(exitOK, "own-sink ", "", "--version")
	f(exitOK, "1 sinks, good", "", "check", good)
	f(exitUsage, "", `own-sink: `+bad+`:3: sink.type: there is no type "nowere"; did you mean "nowhere"?`, "check", bad)
	f(exitUsage, "", "check wants one file", "check")
	f(exitUsage, "", `unknown command "chekc"`, "chekc")
	f(exitUsage, "", "run takes no arguments", "run", good)
	f(exitUsage, "", "run needs --config FILE")
	f(exitUsage, "", "-confg", "--confg", good)
	f(exitUsage, "", "no such file", "--config", filepath.Join(dir, "missing"))
	f(exitUsage, "", "only loopback", "--config", good, "--http", "0.0.0.0:0")
	f(exitUsage, "", "want host:port", "--config", good, "--http", "4282")
	f(exitError, "", "write ready file", "--config", good, "--http", "127.0.0.1:0", "--ready-file", filepath.Join(dir, "no", "dir"))
	f(exitOK, "", "NATS is not there yet", "--config", good, "--http", "127.0.0.1:0", "--ready-file", filepath.Join(dir, "ready"))
	if ready, err := os.ReadFile(filepath.Join(dir, "ready")); err != nil || !strings.Contains(string(ready), `{"http":"http://127.0.0.1:`) {
		t.Errorf("ready file: %s, %v", ready, err)
	}
}
