package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// storeSource reads the store that a sink keeps.
type storeSource struct {
	dir string
	r   *store.Reader
	env Env
}

func openStore(dir string, env Env) (source, error) {
	r, err := store.Open(dir)
	if err != nil {
		return nil, usage(err)
	}
	files, err := r.Files(context.Background())
	_, begun := os.Stat(filepath.Join(dir, "lock")) // a writer was here, though it has written nothing yet
	if err == nil && len(files) == 0 && len(r.Problems()) == 0 && begun != nil {
		_ = r.Close()
		return nil, usagef("open store: there is none in %s; a sink of type store makes one (dlog-sink run)", dir)
	}
	return &storeSource{dir, r, env}, nil
}

func (s *storeSource) close() error { return errors.Join(s.problems(), s.r.Close()) }

func (s *storeSource) read(ctx context.Context, w window, fn func(item) error) error {
	if w.follow {
		return usagef("a store cannot be followed: ask the router with --nats")
	}
	give := func(it store.Item) error {
		err := fn(item{subj: it.Subject, line: it.Line, at: it.Time})
		if errors.Is(err, stream.ErrStop) {
			return store.ErrStop
		}
		return err
	}
	return s.readIndexed(ctx, w, give)
}

// problems says what could not be read, each once; the answer that was given is then not the whole one.
func (s *storeSource) problems() error {
	all := s.r.Problems()
	for _, p := range all {
		fmt.Fprintf(s.env.Stderr, "dlog-sink: %s: %s\n", s.dir, p)
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("read store %s: the answer lacks what lies in the damaged parts", s.dir)
}

// readIndexed takes the shortest way to what the window wants.
func (s *storeSource) readIndexed(ctx context.Context, w window, give func(store.Item) error) error {
	switch {
	case w.trace != "":
		_, err := s.r.Trace(ctx, w.trace, give)
		if errors.Is(err, tree.ErrNotFound) {
			return nil // the reader finds nothing in what it was given, and says so
		}
		var many *tree.AmbiguousError
		if errors.As(err, &many) {
			return usage(err)
		}
		return err
	case len(w.traces) > 0:
		ids := make([]task.Trace, 0, len(w.traces))
		for _, text := range w.traces {
			id, err := task.ParseTrace(text)
			if err != nil {
				return fmt.Errorf("read store %s: %w", s.dir, err)
			}
			ids = append(ids, id)
		}
		return s.r.ReadTraces(ctx, ids, give)
	default:
		return s.r.Read(ctx, store.Query{Since: w.since, Until: w.until, Frames: w.frames, Where: w.where}, give)
	}
}
