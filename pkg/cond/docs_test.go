package cond_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/cond"
)

// The manual's table holds: both columns are one condition. Its examples compile.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/conditions.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 16 {
		t.Fatalf("only %d rows found", len(rows))
	}
	for _, row := range rows {
		c, err := parseTOML(t, row[1])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		w, err := cond.ParseWhere([]string{row[2]})
		if err != nil {
			t.Errorf("%s: %v", row[2], err)
			continue
		}
		if c.String() != w.String() {
			t.Errorf("not the same:\n%s is %v\n%s is %v", row[1], c, row[2], w)
		}
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Error("no example found")
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			parseBoth(t, line)
		}
	}
}
