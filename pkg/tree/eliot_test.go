package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/google/go-cmp/cmp"
)

// eliotLines reads logs of the example programs of Eliot 1.13; where they come
// from is told in testdata/eliot/README.md.
func eliotLines(t testing.TB, names ...string) [][]byte {
	t.Helper()
	var lines [][]byte
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", "eliot", name+".ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSpace(data), []byte("\n"))...)
	}
	return lines
}

func forest(t testing.TB, cfg Config, lines ...[]byte) *Forest {
	t.Helper()
	f := With(cfg)
	for _, line := range lines {
		e, err := entry.Parse(line)
		if err != nil {
			t.Fatalf("parse %s: %v", line, err)
		}
		f.Add(e)
	}
	return f
}

// outline writes a forest compactly: a line per task, entry and absent run.
func outline(f *Forest) string {
	var b strings.Builder
	for _, root := range f.Roots() {
		fmt.Fprintf(&b, "%s: %d entries, %d errors, %d missing\n", root.Trace[:8], root.Entries, root.Errors, root.MissingCount())
		root.Walk(func(t *Task) bool {
			outlineTask(&b, t)
			return true
		})
		if c := root.Cause(); c != nil {
			fmt.Fprintf(&b, "cause: %s: %.60s\n", c.Path, c.Error)
		}
	}
	return b.String()
}

func outlineTask(b *strings.Builder, t *Task) {
	indent := strings.Repeat("  ", t.Depth()+1)
	fmt.Fprintf(b, "%s[%s] %s %s\n", indent, t.Pos, or(t.Path, "?"), or(string(t.Outcome), "?"))
	for _, item := range t.Items {
		if item.Entry == nil || item.Entry == t.Start || item.Entry == t.End {
			continue
		}
		fmt.Fprintf(b, "%s  %d %s %q", indent, item.N, item.Entry.Level, item.Entry.Message)
		if item.Late {
			b.WriteString(" late")
		}
		if item.Conflict {
			b.WriteString(" conflict")
		}
		b.WriteByte('\n')
	}
	for _, m := range t.Missing {
		fmt.Fprintf(b, "%s  -%s", indent, m.Pos)
		if m.First != m.Last {
			fmt.Fprintf(b, "…%d", m.Last)
		}
		fmt.Fprintf(b, " %s", m.Reason)
		if m.Rule != "" {
			fmt.Fprintf(b, " by %s", m.Rule)
		}
		b.WriteByte('\n')
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// TestEliotTrees reads the logs with their lines in every order that chance
// gives and wants the documented trees each time.
func TestEliotTrees(t *testing.T) {
	f := func(want string, names ...string) {
		t.Helper()
		lines := eliotLines(t, names...)
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
			twice := append(lines[:len(lines):len(lines)], lines[:len(lines)/2]...)
			if diff := cmp.Diff(want, outline(forest(t, Config{}, twice...))); diff != "" {
				t.Fatalf("%v, seed %d (-want +got):\n%s", names, seed, diff)
			}
		}
	}
	f(`bbf53168: 10 entries, 0 errors, 0 missing
  [] honeymoon succeeded
    [2] honeymoon/visited succeeded
      [2.2] honeymoon/visited/visited succeeded
        [2.2.2] honeymoon/visited/visited/visited succeeded
        [2.2.3] honeymoon/visited/visited/visited succeeded
`, "rometrip")
	f(`b49534f5: 8 entries, 2 errors, 0 missing
  [] mypackage:main succeeded
    4 info "Number 3 was rejected."
    [2] mypackage:main/mypackage:do_a_thing succeeded
    [3] mypackage:main/mypackage:do_a_thing failed
      2 error "The number 3 is a bad number, don't use it."
cause: mypackage:main/mypackage:do_a_thing: I hate the number 3
`, "stdlib")
	f(`3df31c95: 6 entries, 0 errors, 0 missing
  [] main_thread succeeded
    [2] main_thread/eliot:remote_task succeeded
      [2.2] main_thread/eliot:remote_task/in_thread succeeded
`, "cross_thread")
	f(`f75b06b9: 4 entries, 2 errors, 0 missing
  [] check_links failed
    [2] check_links/download failed
cause: check_links/download: HTTPConnectionPool(host='eliot.readthedocs.io', port=80): Ma
`, "linkcheck")
	f(`9a65a21c: 4 entries, 0 errors, 1 missing
  [] main succeeded
    [2] main/http_request succeeded
      -2.2 missing
f70bb2fb: 4 entries, 2 errors, 1 missing
  [] main failed
    [2] main/http_request failed
      -2.2 missing
cause: main/http_request: 500 Server Error: INTERNAL SERVER ERROR for url: http://loca
`, "cross_process_client_ok", "cross_process_client_fail")
	f(`9a65a21c: 4 entries, 0 errors, 2 missing
  [] ? ?
    -1 missing
    -3 no-end
    [2] ? ?
      -2.1 missing
      -2.3 no-end
      [2.2] eliot:remote_task succeeded
        [2.2.2] eliot:remote_task/divide succeeded
f70bb2fb: 4 entries, 2 errors, 2 missing
  [] ? ?
    -1 missing
    -3 no-end
    [2] ? ?
      -2.1 missing
      -2.3 no-end
      [2.2] eliot:remote_task failed
        [2.2.2] eliot:remote_task/divide failed
cause: eliot:remote_task/divide: division by zero
`, "cross_process_server")
	f(`9a65a21c: 8 entries, 0 errors, 0 missing
  [] main succeeded
    [2] main/http_request succeeded
      [2.2] main/http_request/eliot:remote_task succeeded
        [2.2.2] main/http_request/eliot:remote_task/divide succeeded
f70bb2fb: 8 entries, 4 errors, 0 missing
  [] main failed
    [2] main/http_request failed
      [2.2] main/http_request/eliot:remote_task failed
        [2.2.2] main/http_request/eliot:remote_task/divide failed
cause: main/http_request/eliot:remote_task/divide: division by zero
`, "cross_process_client_ok", "cross_process_client_fail", "cross_process_server")
}

func TestReadEliotRefuses(t *testing.T) {
	f := func(line string) {
		t.Helper()
		e, err := entry.Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if ReadEliot(&e) {
			t.Errorf("took for Eliot's: %s", line)
		}
		forest := New()
		forest.Add(e)
		if len(forest.Loose()) != 1 || forest.Len() != 0 {
			t.Errorf("lost: %s", line)
		}
	}
	const id = `"task_uuid":"3df31c95-99d6-4e09-951f-0392e6bc9472"`
	f(`{}`)
	f(`{"task_level":[1]}`)
	f(`{` + id + `}`)
	f(`{` + id + `,"task_level":1}`)
	f(`{` + id + `,"task_level":[0]}`)
	f(`{` + id + `,"task_level":["1"]}`)
	f(`{` + id + `,"task_level":[-1]}`)
	f(`{` + id + `,"task_level":[1.5]}`)
	f(`{` + id + `,"task_level":[18446744073709551616]}`)
	f(`{` + id + `,"task_level":[[1]]}`)
	f(`{` + id + `,"task_level":[]}`)
	f(`{"task_uuid":"no uuid","task_level":[1]}`)
	f(`{"task_uuid":7,"task_level":[1]}`)
}
