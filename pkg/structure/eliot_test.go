package structure_test

import (
	"context"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
)

func TestExportEliot(t *testing.T) {
	var b box
	p, err := structure.New(structure.Config{Service: "shop", Out: &b})
	if err != nil {
		t.Fatal(err)
	}
	_, tk := p.Start(context.Background(), "order")
	id := tk.ExportEliot("printer")
	tk.End(nil)
	trace, pos, err := task.ParseEliotID(id)
	if err != nil || trace != tk.Trace() || pos != "2" {
		t.Errorf("%s: %v at %s: %v", id, trace, pos, err)
	}
	got := b.all()
	if len(got) != 3 || got[1].Meta.Event != "export" || got[1].Meta.Pos != "2" || got[1].Message != "printer" {
		t.Errorf("no export entry: %+v", got)
	}
	if none := (*structure.Task)(nil).ExportEliot("printer"); none != "" {
		t.Errorf("a nil task exports %q", none)
	}
}

func TestImportEliot(t *testing.T) {
	const trace = "b49534f5c59747d8839afbddd8a98f7c"
	f := func(id, wantPos string) {
		t.Helper()
		var stderr strings.Builder
		p, err := structure.New(structure.Config{Service: "mail", Out: &box{}, Stderr: &stderr})
		if err != nil {
			t.Fatal(err)
		}
		_, tk := p.Import(context.Background(), id, "send")
		defer tk.End(nil)
		pos := string(tk.Position())
		if i := strings.LastIndexByte(pos, '~'); i >= 0 {
			pos = pos[:i]
		}
		if wantPos == "" {
			if pos != "" || tk.Trace().String() == trace || stderr.Len() == 0 {
				t.Errorf("%s: taken for a task id: at %s, said %q", id, pos, stderr.String())
			}
			return
		}
		if tk.Trace().String() != trace || pos != wantPos || tk.Path() != "send" || stderr.Len() > 0 {
			t.Errorf("%s: %v at %s, path %s, said %q", id, tk.Trace(), tk.Position(), tk.Path(), stderr.String())
		}
	}
	f("b49534f5-c597-47d8-839a-fbddd8a98f7c@/2/3", "2.3")
	f("b49534f5c59747d8839afbddd8a98f7c@/17", "17")
	f(" B49534F5-c597-47d8-839a-fbddd8a98f7c@/2/4294967297/1\n", "2~aaaab.1")
	f("b49534f5-c597-47d8-839a-fbddd8a98f7c@/", "")
	f("b49534f5-c597-47d8-839a-fbddd8a98f7c@/0", "")
	f("b49534f5-c597-47d8-839a-fbddd8a98f7c@/2/x", "")
	f("b49534f5@/2", "")
	f("@/", "")
}

// TestForeignParents wants a program that another one starts to find its place, whatever that one knows.
func TestForeignParents(t *testing.T) {
	f := func(parent, wantTrace, wantPos string) {
		t.Helper()
		p, err := structure.New(structure.Config{Service: "tool", Out: &box{}, Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, tk := p.Start(context.Background(), "convert")
			tk.End(nil)
			if tk.Trace().String() != wantTrace || !strings.HasPrefix(string(tk.Position()), wantPos+"~") {
				t.Errorf("%s: stands at %s in %s", parent, tk.Position(), tk.Trace())
			}
		}
	}
	f("b49534f5-c597-47d8-839a-fbddd8a98f7c@/2/3", "b49534f5c59747d8839afbddd8a98f7c", "2.3")
	f("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c", "xb7ad6b7169203331")
	f("01-b49534f5c59747d8839afbddd8a98f7c-4-order", "b49534f5c59747d8839afbddd8a98f7c", "4")
}
