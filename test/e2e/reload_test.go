//go:build unix

package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReload: the program reads its file again on SIGHUP and when it changes, and top shows the rules that are in force.
func TestReload(t *testing.T) {
	bin, dir := binaries(t), t.TempDir()
	router := filepath.Join(bin, "dlog-router")
	rules, ready := filepath.Join(dir, "router.toml"), filepath.Join(dir, "ready")
	write(t, rules, teamsRules)
	p := start(t, router, "run", "--config", rules, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", ready)
	addrs := p.ready(ready)
	pub := newPublisher(t, addrs["nats"])
	pub.publish(3)
	top := func() string { // words with one blank between them
		return strings.Join(strings.Fields(command(t, router, "top", "--once", "--http", addrs["http"])), " ")
	}
	if !await(10*time.Second, func() bool { return strings.Contains(top(), "matched dropped failed rule - 3 0 0 both stored/s") }) {
		t.Errorf("top shows %s", top())
	}
	metric := func(line string) func() bool {
		return func() bool {
			res, err := http.Get(addrs["http"] + "/metrics")
			if err != nil {
				return false
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			return err == nil && strings.Contains(string(b), line+"\n")
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if !await(10*time.Second, metric(`dlog_router_reloads_total{result="good"} 1`)) {
		t.Error("SIGHUP does nothing")
	}
	write(t, rules, strings.ReplaceAll(teamsRules, `"both"`, `"each"`))
	if !await(10*time.Second, func() bool { return strings.Contains(top(), " each ") }) {
		t.Errorf("a changed file does nothing: top shows %s", top())
	}
	write(t, rules, "nonsense")
	if !await(10*time.Second, metric("dlog_router_rules_outdated 1")) {
		t.Error("a bad file is not spoken of")
	}
	if out := top(); !strings.Contains(out, "OLDER RULES") || !strings.Contains(out, " each ") {
		t.Errorf("top shows %s", out)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("router: %v: %s", err, p.stderr)
	}
}
