package view

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// TestGolden reads each testdata/*.txtar: options and entries in, and what tree,
// tasks, gaps and find print of them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]byte{}
	for _, f := range a.Files {
		in[f.Name] = f.Data
	}
	out := render(t, in["in.ndjson"], parseOptions(t, string(in["options"])))
	if *update {
		a.Files = append([]txtar.File{{Name: "options", Data: in["options"]}, {Name: "in.ndjson", Data: in["in.ndjson"]}}, out...)
		if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, f := range out {
		if diff := cmp.Diff(string(in[f.Name]), string(f.Data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
}

// parseOptions reads words such as "color width=80 now=TIME".
func parseOptions(t *testing.T, text string) TreeOptions {
	o := TreeOptions{Options: Options{Zone: time.UTC}}
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "color":
			o.Color = true
		case "all":
			o.All = true
		case "errors":
			o.Errors = true
		case "width":
			o.Width, err = strconv.Atoi(value)
		case "depth":
			o.Depth, err = strconv.Atoi(value)
		case "now":
			o.Now, err = time.Parse(time.RFC3339, value)
		default:
			t.Fatalf("unknown option %s", key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// render prints entries in every way there is. Colours are written as ‹1;31›
// so that the files can be read.
func render(t *testing.T, lines []byte, o TreeOptions) []txtar.File {
	forest := tree.With(tree.Config{Now: func() time.Time { return o.Now }})
	var find []byte
	for line := range bytes.Lines(lines) {
		e, err := entry.Parse(line)
		if err != nil {
			t.Fatalf("parse %s: %v", line, err)
		}
		forest.Add(e)
		tree.ReadEliot(&e)
		find = Line(find, &e, "", o.Options)
	}
	roots := forest.Roots()
	var trees, tasks, gaps bytes.Buffer
	for _, root := range roots {
		if err := Tree(&trees, root, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := Tasks(&tasks, roots, o.Options); err != nil {
		t.Fatal(err)
	}
	if err := Gaps(&gaps, roots, o.Options); err != nil {
		t.Fatal(err)
	}
	out := []txtar.File{{Name: "tree", Data: visible(trees.Bytes())}, {Name: "tasks", Data: visible(tasks.Bytes())}, {Name: "gaps", Data: visible(gaps.Bytes())}}
	if len(find) < 4000 {
		out = append(out, txtar.File{Name: "find", Data: visible(find)})
	}
	return out
}

func visible(b []byte) []byte {
	s := strings.ReplaceAll(string(b), "\x1b[0m", "‹›")
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return []byte(s)
		}
		m := strings.IndexByte(s[i:], 'm')
		s = s[:i] + "‹" + s[i+2:i+m] + "›" + s[i+m+1:]
	}
}
