//go:build unix

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeadLetters reads with find what the router could not route: the bad line itself, why, and where it came from.
func TestDeadLetters(t *testing.T) {
	bin, dir := binaries(t), t.TempDir()
	rules := filepath.Join(dir, "router.toml")
	write(t, rules, "[[stream]]\nname = \"all\"\n[default]\nto = [\"all\"]\n[[rule]]\nname = \"looks inside\"\nmatch = { user = \"x\" }\ndrop = true\n")
	_, url := startRouter(t, bin, "--config", rules, "--listen", "127.0.0.1:0")
	pub := newPublisher(t, url)
	for _, body := range []string{"{\"message\":\"good\"}\nhalf a line {", "\x1b[31mcolour\x00"} {
		if _, err := pub.js.Publish(context.Background(), "dlog.in.shop.info.-", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	sink := filepath.Join(bin, "dlog-sink")
	find := func(args ...string) string {
		return command(t, sink, append([]string{"find", "--stream", "dead", "--nats", url}, args...)...)
	}
	if !await(startLimit, func() bool { return strings.Count(find("--format", "json"), "\n") == 2 }) {
		t.Fatalf("dead letters: %s", find("--format", "json"))
	}
	got := find("--format", "json", "--where", "message~^half")
	for _, want := range []string{`"reason":"json"`, `"subject":"dlog.in.shop.info.-"`, `"sequence":1`, `"message":"half a line {"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	text := find()
	if !strings.Contains(text, "half a line {") || !strings.Contains(text, "reason=json") || !strings.Contains(text, `\x1b[31mcolour\x00`) {
		t.Errorf("text: %s", text)
	}
	if all := command(t, sink, "find", "--stream", "all", "--nats", url, "--format", "json"); all != "{\"message\":\"good\"}\n" {
		t.Errorf("the good line: %s", all)
	}
}
