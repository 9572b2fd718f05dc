package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dlog-fabric/dlog"

// rooms lists every package below pkg/ in building order. A package imports only from lower floors and, on its own floor,
// packages that stand before it here. A sub-package that is not listed lives in its parent's room: it may import the parent,
// the parent never imports it.
var rooms = [][]string{
	{"task", "config"},
	{"entry", "subject"},
	{"spool", "tree", "cond", "rule", "stream", "structure", "record", "transport"},
	{"dlog", "natsd", "store", "view"},
	{"router", "agent", "sink", "web"},
	{"cli"},
}

// strangers are packages of one floor that must work alone, so none may import another.
var strangers = []string{"structure", "record", "transport"}

// heavy are modules that an application which imports pkg/dlog must never have to download.
var heavy = []string{"github.com/nats-io/nats-server", "modernc.org/sqlite", "go.uber.org/goleak"}

// TestLayers reads the source files themselves: a test that ran "go list" would be answered from the test cache
// after a forbidden import was added.
func TestLayers(t *testing.T) {
	pkgs := readImports(t, "..")
	for _, dir := range sortedKeys(pkgs) {
		if err := checkPackage(dir); err != nil {
			t.Error(err) // also of a package that imports nothing of ours
		}
		for _, im := range pkgs[dir] {
			if strings.HasSuffix(im.file, "_test.go") && strings.HasPrefix(im.path, module+"/test/") {
				continue // a test may use the generators of test/; TestClientClosure still looks into them
			}
			if err := checkImport(dir, im.path); err != nil {
				t.Errorf("%s: %v", im.file, err)
			}
		}
	}
}

// TestClientClosure walks from pkg/dlog and its sub-packages over everything inside the module, tests included.
func TestClientClosure(t *testing.T) {
	pkgs := readImports(t, "..")
	var todo []string
	for dir := range pkgs {
		if dir == "pkg/dlog" || strings.HasPrefix(dir, "pkg/dlog/") {
			todo = append(todo, dir)
		}
	}
	if len(todo) == 0 {
		t.Fatal("pkg/dlog not found")
	}
	seen := map[string]bool{}
	for len(todo) > 0 {
		dir := todo[0]
		todo = todo[1:]
		if seen[dir] {
			continue
		}
		seen[dir] = true
		for _, im := range pkgs[dir] {
			for _, h := range heavy {
				if im.path == h || strings.HasPrefix(im.path, h+"/") {
					t.Errorf("%s: imports %s, which every application that imports pkg/dlog would have to download", im.file, im.path)
				}
			}
			if in, ok := strings.CutPrefix(im.path, module+"/"); ok {
				todo = append(todo, in)
			}
		}
	}
}

func TestCheckImport(t *testing.T) {
	f := func(dir, imp string, ok bool) {
		t.Helper()
		if err := checkImport(dir, module+"/"+imp); (err == nil) != ok {
			t.Errorf("checkImport(%s, %s): %v, want ok=%v", dir, imp, err, ok)
		}
	}
	f("pkg/entry", "pkg/task", true)
	f("pkg/task", "pkg/entry", false)
	f("pkg/rule", "pkg/cond", true)
	f("pkg/cond", "pkg/rule", false)
	f("pkg/transport", "pkg/structure", false)
	f("pkg/transport", "pkg/record", false)
	f("pkg/dlog/dloghttp", "pkg/dlog", true)
	f("pkg/dlog", "pkg/dlog/dloghttp", false)
	f("pkg/unheard", "pkg/task", false)
	f("pkg/cli", "pkg/sink/file", true)
	f("cmd/dlog-sink", "pkg/cli", true)
	f("cmd/dlog-sink", "pkg/sink", false)
	f("pkg/cli", "test/shop", false)
}

func checkPackage(dir string) error {
	if floor, _ := place(room(dir)); strings.HasPrefix(dir, "pkg/") && floor < 0 {
		return fmt.Errorf("package %s stands on no floor: add it to rooms in test/layers_test.go", dir)
	}
	return nil
}

func checkImport(dir, imp string) error {
	in, ok := strings.CutPrefix(imp, module+"/")
	if !ok {
		if first, _, _ := strings.Cut(imp, "/"); dir == "pkg/task" && strings.Contains(first, ".") {
			return fmt.Errorf("imports %s: pkg/task has the standard library only", imp)
		}
		return nil
	}
	if strings.HasPrefix(dir, "test") || strings.HasPrefix(dir, "scripts") {
		return nil
	}
	if !strings.HasPrefix(in, "pkg/") {
		return fmt.Errorf("imports %s: only packages below pkg/ may be imported", in)
	}
	if strings.HasPrefix(dir, "cmd/") {
		if in != "pkg/cli" {
			return fmt.Errorf("imports %s: a main imports pkg/cli only", in)
		}
		return nil
	}
	from, to := room(dir), room(in)
	fFloor, fOrder := place(from)
	tFloor, tOrder := place(to)
	switch {
	case fFloor < 0:
		return fmt.Errorf("package %s stands on no floor: add it to rooms in test/layers_test.go", dir)
	case tFloor < 0:
		return fmt.Errorf("imports %s, which stands on no floor", in)
	case from == to:
		if strings.HasPrefix(in, dir+"/") {
			return fmt.Errorf("imports its own sub-package %s", in)
		}
		return nil
	case slices.Contains(strangers, from) && slices.Contains(strangers, to):
		return fmt.Errorf("imports %s: structure, record and transport work alone", in)
	case tFloor > fFloor || (tFloor == fFloor && tOrder > fOrder):
		return fmt.Errorf("imports upward: %s stands above %s", to, from)
	}
	return nil
}

func room(dir string) string {
	rest := strings.TrimPrefix(dir, "pkg/")
	first, _, _ := strings.Cut(rest, "/")
	return first
}

func place(name string) (floor, order int) {
	for f, names := range rooms {
		if o := slices.Index(names, name); o >= 0 {
			return f, o
		}
	}
	return -1, -1
}

type imported struct{ file, path string }

// readImports parses every Go file of the checkout and returns what each directory imports.
func readImports(t *testing.T, root string) map[string][]imported {
	t.Helper()
	pkgs := map[string][]imported{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		dir := path.Dir(rel)
		pkgs[dir] = append(pkgs[dir], importsOf(rel, f.Imports)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func importsOf(file string, specs []*ast.ImportSpec) []imported {
	out := make([]imported, 0, len(specs))
	for _, s := range specs {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			p = s.Path.Value
		}
		out = append(out, imported{file, p})
	}
	return out
}

func sortedKeys(m map[string][]imported) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
