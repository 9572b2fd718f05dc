package agent

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs runs the examples of docs/agent.md that are written out in full.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)`[^|]* \\| `(\\{[^`]+\\})`").FindAllStringSubmatch(string(text), -1)
	count := 0
	for _, row := range rows {
		got := strings.TrimSpace(string(decodeAll(Auto, []byte(row[1]), len(row[1]))))
		_, got, _ = strings.Cut(got, " ")
		got, _, more := strings.Cut(got, `,"dlog":`)
		if more {
			got += "}"
		}
		begin, end, shortened := strings.Cut(row[2], "…")
		if count++; shortened && !(strings.HasPrefix(got, begin) && strings.HasSuffix(got, end)) || !shortened && got != row[2] {
			t.Errorf("%s\nbecomes %s\nnot     %s", row[1], got, row[2])
		}
	}
	if count < 6 {
		t.Errorf("%d examples found", count)
	}
}
