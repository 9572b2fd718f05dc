package tree

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// FuzzAdd adds hostile lines, each on its own, and wants every accepted one to
// be in exactly one place and all output to be JSON.
func FuzzAdd(f *testing.F) {
	for _, name := range []string{"stdlib", "cross_process_server"} {
		for _, line := range eliotLines(f, name) {
			f.Add(string(line))
		}
	}
	f.Add(`{"dlog":{"trace":"` + trace1 + `","pos":"2.3~abcde.1","proc":"00000000000000aa","seq":1,"event":"end","n":9223372036854775808}}`)
	f.Add(`{"dlog":{"trace":"` + trace1 + `","pos":"x00f067aa0ba902b7~abcde.18446744073709551615","event":"start"}}` + "\n" + `{"message":"loose"}`)
	f.Add(`{"dlog":{"svc":"x","proc":"00000000000000aa","seq":1,"event":"death"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		forest, added := New(), 0
		for line := range strings.SplitSeq(text, "\n") {
			e, err := entry.Parse([]byte(line))
			if err != nil {
				continue
			}
			before := len(forest.Loose()) + total(forest)
			forest.Add(e)
			added++
			if after := len(forest.Loose()) + total(forest); after < before || after > before+1 {
				t.Fatalf("%d entries became %d by %q", before, after, line)
			}
		}
		for _, root := range forest.Roots() {
			var out strings.Builder
			if err := WriteTree(&out, root); err != nil || !json.Valid([]byte(out.String())) {
				t.Fatalf("tree: %v %s", err, out.String())
			}
			if line := AppendSummary(nil, root); !json.Valid(line) {
				t.Fatalf("summary: %s", line)
			}
			if err := WriteGaps(io.Discard, root); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func total(f *Forest) (entries int) {
	for _, root := range f.Roots() {
		entries += root.Entries
	}
	return entries
}
