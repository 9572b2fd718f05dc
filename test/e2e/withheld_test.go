//go:build unix

package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWithheld reads a team's stream from which a rule took entries away: each absent number has the rule's name, and nothing
// else is absent. The stream of everything lacks nothing.
func TestWithheld(t *testing.T) {
	bin, dir := binaries(t), t.TempDir()
	rules, book := filepath.Join(dir, "router.toml"), filepath.Join(dir, "ledger")
	write(t, rules, "[[stream]]\nname = \"shop\"\n[default]\nto = [\"shop\"]\n[[rule]]\nname = \"no chatter\"\nmatch = { level = \"<=debug\" }\ndrop = true\n")
	_, url := startRouter(t, bin, "--config", rules, "--listen", "127.0.0.1:0")
	command(t, filepath.Join(bin, "shop"), "run", "--orders", "20", "--seed", "3", "--ledger", book, "--nats", url)
	want := strings.Count(read(book), `"level":"debug"`)
	if want == 0 {
		t.Fatal("seed 3 says nothing at level debug: choose another")
	}
	sink := filepath.Join(bin, "dlog-sink")
	gaps := func(stream string) (n int, reasons []string) {
		for line := range strings.Lines(command(t, sink, "gaps", "--stream", stream, "--nats", url, "--format", "json")) {
			var g struct{ Reason, Rule string }
			if err := json.Unmarshal([]byte(line), &g); err != nil {
				t.Fatal(err)
			}
			n++
			if r := g.Reason + " " + g.Rule; !slices.Contains(reasons, r) {
				reasons = append(reasons, r)
			}
		}
		return n, reasons
	}
	var n int
	var reasons []string
	await(startLimit, func() bool { n, reasons = gaps("shop"); return n == want && len(reasons) == 1 })
	if n != want || !slices.Equal(reasons, []string{"withheld no chatter"}) {
		t.Errorf("%d absent, want %d: %q", n, want, reasons)
	}
	if n, reasons := gaps("in"); n != 0 {
		t.Errorf("the stream of everything lacks %d: %q", n, reasons)
	}
}
