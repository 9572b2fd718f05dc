package router_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

// twoWays is a configuration that says on each entry which of two it is, and sends it to a stream of its own.
func twoWays(which string) string {
	return fmt.Sprintf(`
[[stream]]
name = "a"
[[stream]]
name = "b"
[default]
to = ["a"]
[[rule]]
name = "way-%[1]s"
set = { way = %[1]q }
to = [%[1]q]
`, which)
}

// file is a configuration file that changes, and a router that follows it.
type file struct {
	t    *testing.T
	path string
	tail string
}

func newFile(t *testing.T, text string) *file {
	f := &file{t: t, path: filepath.Join(t.TempDir(), "router.toml")}
	f.tail = fmt.Sprintf("\n[server]\nlisten = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\ndata = %q\n", filepath.Join(t.TempDir(), "data"))
	f.write(text)
	return f
}

// write replaces the file as a whole.
func (f *file) write(text string) {
	f.t.Helper()
	writeFile(f.t, f.path+".new", text+f.tail)
	if err := os.Rename(f.path+".new", f.path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *file) run(reload <-chan struct{}) *running {
	f.t.Helper()
	load := func() (router.Config, error) { return router.Load(f.path) }
	cfg, err := load()
	if err != nil {
		f.t.Fatal(err)
	}
	return runWith(f.t, cfg, router.Options{Load: load, Files: []string{f.path}, Reload: reload})
}

// TestReload: two files whose outputs differ take turns under load. Each entry obeys exactly one of them, none is lost or repeated.
func TestReload(t *testing.T) {
	t.Parallel()
	f := newFile(t, twoWays("a"))
	reload := make(chan struct{})
	r := f.run(reload)
	c := dial(t, r.addrs.NATS)
	rnd := seed(t)
	p := newProducer(t, c, rnd, nil)
	const turns, each = 40, 1000
	for turn := range turns {
		for p.n < (turn+1)*each {
			p.pack()
		}
		f.write(twoWays([]string{"b", "a"}[turn%2]))
		reload <- struct{}{}
	}
	p.acked.Wait()
	c.settled("DLOG_IN")

	seen := map[int]string{}
	count := map[string]uint64{}
	for _, way := range []string{"a", "b"} {
		for _, pk := range c.everything("DLOG_TO_" + way) {
			for line := range stream.Lines(pk.Data) {
				n := number(t, string(line))
				if !strings.Contains(string(line), fmt.Sprintf(`"way":%q`, way)) {
					t.Fatalf("stream %s holds %s", way, line)
				}
				if seen[n] != "" {
					t.Fatalf("entry %d went to %s and %s", n, seen[n], way)
				}
				seen[n] = way
				count[way]++
			}
		}
	}
	if len(seen) != p.n || count["a"] == 0 || count["b"] == 0 {
		t.Errorf("%d entries of %d arrived: %v", len(seen), p.n, count)
	}
	sums := c.totals("dlog")
	for way, n := range count {
		if got := sums.By[ledger.Name{Kind: ledger.Stored, Name: way}]; got != n {
			t.Errorf("ledger: %d entries in %s, want %d", got, way, n)
		}
	}
	c.wait("all turns are taken", func() bool { return r.metrics()[`dlog_router_reloads_total{result="good"}`] >= turns })
	r.balance()
}

// TestReloadBad: a file with faults changes nothing and is spoken of; the next good one takes over, streams that are new included.
func TestReloadBad(t *testing.T) {
	t.Parallel()
	f := newFile(t, twoWays("a"))
	r := f.run(nil)
	c := dial(t, r.addrs.NATS)
	bad := func(text, want string) {
		t.Helper()
		before := r.metrics()[`dlog_router_reloads_total{result="bad"}`]
		f.write(text)
		c.wait("the file is refused", func() bool { return r.metrics()[`dlog_router_reloads_total{result="bad"}`] > before })
		if body := r.get("/readyz", http.StatusOK); !strings.HasPrefix(body, "ok\nolder rules are in force") || !strings.Contains(body, want) {
			t.Errorf("/readyz says %q, want something about %q", body, want)
		}
		if r.metrics()["dlog_router_rules_outdated"] != 1 {
			t.Error("no metric says that the rules are old")
		}
	}
	bad("this is no TOML", "router.toml:1")
	bad(twoWays("a")+"[[rule]]\nname = \"x\"\nto = [\"nowhere\"]\n", "nowhere")
	bad(twoWays("b")+"[[test]]\nname = \"goes to a\"\nin = {}\nexpect = { to = [\"a\"] }\n", "goes to a")
	bad("namespace = \"other\"\n"+twoWays("b"), "needs a restart")
	c.say("dlog.in.svc.info.-", `{"n":1}`)
	if g := c.first("DLOG_TO_a", 1)[0]; number(t, g.line) != 1 {
		t.Errorf("%v", g)
	}
	f.write("[[stream]]\nname = \"c\"\n[default]\nto = [\"c\"]\n")
	c.wait("the file is taken", func() bool { return r.metrics()["dlog_router_rules_outdated"] == 0 })
	c.say("dlog.in.svc.info.-", `{"n":2}`)
	if g := c.first("DLOG_TO_c", 1)[0]; number(t, g.line) != 2 {
		t.Errorf("%v", g)
	}
	if body := r.get("/readyz", http.StatusOK); body != "ok\n" {
		t.Errorf("/readyz says %q", body)
	}
}
