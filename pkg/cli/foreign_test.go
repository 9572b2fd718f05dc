package cli

import (
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

func TestForeignLevelsAndTimes(t *testing.T) {
	f := func(line string, level entry.Level, at string) {
		t.Helper()
		e, err := parseEntry([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if !e.Time.IsZero() {
			got = e.Time.UTC().Format(time.RFC3339)
		}
		if e.Level != level || got != at {
			t.Errorf("%s: %s at %q, want %s at %q", line, e.Level, got, level, at)
		}
	}
	const at = "2026-11-22T16:11:25Z"
	f(`{"level":50,"time":1795363885352,"pid":1,"msg":"pino"}`, entry.Error, at)
	f(`{"level":30,"time":"2026-11-22T16:11:25.352Z","msg":"bunyan"}`, entry.Info, at)
	f(`{"level":"error","ts":1795363885.35,"msg":"zap"}`, entry.Error, at)
	f(`{"severity":"ERROR","timestamp":"2026-11-22T16:11:25Z","message":"gcp"}`, entry.Error, at)
	f(`{"levelname":"WARNING","message":"python"}`, entry.Warn, "")
	f(`{"level":7,"message":"no scale that is known"}`, entry.None, "")
	f(`{"level":"loud","severity":"fatal","message":"the first that is known"}`, entry.Fatal, "")
	f(`{"level":"info","time":"2026-11-22T16:11:25Z","severity":"error","message":"zerolog"}`, entry.Info, at)
}
