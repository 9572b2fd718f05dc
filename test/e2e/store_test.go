//go:build unix

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestStoreAnswersAsTheStream asks the embedded store and the stream it was filled from the same questions, and a copy of the store
// that was made while it was written to.
func TestStoreAnswersAsTheStream(t *testing.T) {
	bin, dir := binaries(t), t.TempDir()
	_, url := startRouter(t, bin, "--listen", "127.0.0.1:0")
	conf, storeDir := filepath.Join(dir, "sink.toml"), filepath.Join(dir, "store")
	write(t, conf, "[nats]\nurls = [\""+url+"\"]\n[[sink]]\nname = \"store\"\ntype = \"store\"\nstream = \"all\"\npath = \""+storeDir+"\"\n")
	sink := filepath.Join(bin, "dlog-sink")
	p := start(t, sink, "run", "--config", conf, "--http", "127.0.0.1:0")
	command(t, filepath.Join(bin, "shop"), "run", "--orders", "30", "--seed", "9", "--ledger", filepath.Join(dir, "book"), "--nats", url)

	ask := func(source []string, args ...string) []string {
		lines := strings.Split(strings.TrimSpace(command(t, sink, append(append(args, "--format", "json"), source...)...)), "\n")
		slices.Sort(lines)
		return lines
	}
	fromStream, fromStore := []string{"--nats", url, "--stream", "all"}, []string{"--store", storeDir}
	all := ask(fromStream, "find")
	if !await(startLimit, func() bool { return len(ask(fromStore, "find")) == len(all) }) {
		t.Fatalf("the store has %d entries of %d: %s", len(ask(fromStore, "find")), len(all), p.stderr)
	}
	backup := filepath.Join(dir, "copy")
	command(t, sink, "backup", backup, "--store", storeDir)
	questions := [][]string{
		{"find"},
		{"find", "--where", "level>=warn"},
		{"find", "--where", "order=o-003"},
		{"find", "--where", "message~order"},
		{"tasks", "--since", "1h"},
		{"tasks", "--outcome", "failed", "--since", "1h"},
		{"gaps", "--since", "1h"},
	}
	for _, line := range ask(fromStream, "tasks", "--outcome", "failed", "--since", "1h") {
		_, rest, _ := strings.Cut(line, `"trace":"`)
		questions = append(questions, []string{"tree", rest[:32]})
	}
	for _, q := range questions {
		want := ask(fromStream, q...)
		for _, source := range [][]string{fromStore, {"--store", backup}} {
			if got := ask(source, q...); !slices.Equal(got, want) {
				t.Errorf("%v: %v answers with %d lines\n%s\nthe stream with %d\n%s", q, source, len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
			}
		}
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("sink: %v: %s", err, p.stderr)
	}
}
