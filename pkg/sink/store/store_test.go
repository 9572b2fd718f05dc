package store

import (
	"path/filepath"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/sinktest"
	"github.com/dlog-fabric/dlog/pkg/store"
)

func at(t *testing.T, dir string) *kind {
	t.Helper()
	c := New().(*Config)
	c.Path, c.MinFree = dir, 0
	k, err := c.Kind(sink.Env{Spec: sink.Spec{Name: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return k.(*kind)
}

// lines returns what a store holds.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	err = r.Read(t.Context(), store.Query{}, func(it store.Item) error {
		out = append(out, string(it.Line))
		return nil
	})
	if err != nil || len(r.Problems()) > 0 {
		t.Fatalf("read: %v, %v", err, r.Problems())
	}
	return out
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Destination {
		dir := filepath.Join(t.TempDir(), "deeper", "store")
		return sinktest.Destination{
			Kind:  func(t *testing.T) sink.Kind { return at(t, dir) },
			Lines: func(t *testing.T) []string { return lines(t, dir) },
		}
	})
}
