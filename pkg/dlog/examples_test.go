package dlog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryFunctionHasAnExample holds that the examples are the manual.
func TestEveryFunctionHasAnExample(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var funcs, examples []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.FuncDecl)
			switch {
			case !ok:
			case strings.HasSuffix(file, "_test.go"):
				examples = append(examples, d.Name.Name)
			case d.Name.IsExported() && d.Recv == nil:
				funcs = append(funcs, "Example"+d.Name.Name)
			case d.Name.IsExported() && ofClient(d):
				funcs = append(funcs, "ExampleClient_"+d.Name.Name)
			}
		}
	}
	for _, name := range funcs {
		if !slices.Contains(examples, name) {
			t.Errorf("%s is missing", name)
		}
	}
}
