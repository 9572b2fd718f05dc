package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/store"
)

// Config is the store's part of a [[sink]] table.
type Config struct {
	// Path is the directory. It is made where it is missing; "dlog-store" unless something else is said.
	Path string `toml:"path"`
	// MaxAge removes days that ended longer ago than this; 0, the default, keeps them.
	MaxAge config.Duration `toml:"max_age"`
	// MaxBytes removes the oldest days while all together are larger; 0, the default, keeps them. The day that is written to stays.
	MaxBytes config.Size `toml:"max_bytes"`
	// MinFree is the free space on the disk below which nothing is stored and the stream keeps what comes: 256 MiB by default.
	MinFree config.Size `toml:"min_free"`
	// BatchWait is how long an entry may wait for others before all are written and synced: 250 ms by default.
	BatchWait config.Duration `toml:"batch_wait"`
}

// New is a sink.NewKind.
func New() sink.Settings {
	return &Config{Path: "dlog-store", MinFree: 256 << 20, BatchWait: config.Duration(250 * time.Millisecond)}
}

// Validate reports what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: missing; write the name of a directory"))
	}
	if c.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("max_age %v: write a duration, like 14d", c.MaxAge))
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max_bytes %v: write a size, like 20GiB", c.MaxBytes))
	}
	if c.MinFree < 0 {
		errs = append(errs, fmt.Errorf("min_free %v: write a size, like 1GiB, or 0", c.MinFree))
	}
	if c.BatchWait < 0 || time.Duration(c.BatchWait) > 10*time.Second {
		errs = append(errs, fmt.Errorf("batch_wait %v: write a duration up to 10s", c.BatchWait))
	}
	return errors.Join(errs...)
}

// Destination is the directory: two sinks cannot write to one.
func (c *Config) Destination() string {
	if c.Path == "" {
		return ""
	}
	return filepath.Clean(c.Path)
}

// Kind makes the store's sink without touching the directory.
func (c *Config) Kind(env sink.Env) (sink.Kind, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &kind{cfg: *c, log: env.Log.With().Str("sink", env.Name).Logger()}, nil
}

// kind belongs to one runner at a time.
type kind struct {
	cfg  Config
	log  zerolog.Logger
	w    *store.Writer // nil: not open
	held sink.Committed
	buf  []store.Entry
	said map[string]bool // warnings
}

// Batching lets entries gather for a while, because a commit costs a sync whatever its size, and large blocks compress better.
func (k *kind) Batching() sink.Batching { return sink.Batching{Wait: time.Duration(k.cfg.BatchWait)} }

// Open locks the directory and reads how far it is.
func (k *kind) Open(context.Context) (sink.Committed, error) {
	if k.w != nil {
		return sink.Committed{}, errors.New("open store: it is open")
	}
	free := int64(k.cfg.MinFree)
	if free == 0 {
		free = -1
	}
	w, err := store.OpenWriter(k.cfg.Path, store.Config{
		MaxAge: time.Duration(k.cfg.MaxAge), MaxBytes: int64(k.cfg.MaxBytes), MinFree: free, Warn: k.warn,
	})
	if errors.Is(err, store.ErrInUse) {
		return sink.Committed{}, fmt.Errorf("store %s: %w", k.cfg.Path, sink.ErrInUse)
	}
	if err != nil {
		return sink.Committed{}, err
	}
	held, err := position(w.Position())
	if err != nil {
		return sink.Committed{}, errors.Join(err, w.Close())
	}
	k.w, k.held = w, held
	return held, nil
}

// position reads what a commit said.
func position(b []byte) (sink.Committed, error) {
	var c sink.Committed
	if len(b) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("read the position in the stream: %w", err)
	}
	return c, nil
}

// warn says each thing once.
func (k *kind) warn(err error) {
	if k.said[err.Error()] {
		return
	}
	if k.said == nil || len(k.said) > 100 {
		k.said = map[string]bool{}
	}
	k.said[err.Error()] = true
	k.log.Warn().Str("store", k.cfg.Path).Msg(err.Error())
}

// Commit stores the batch. One that spans midnight goes to two files, and so is two commits: the first is the state after those entries, as if
// the batch had been two.
func (k *kind) Commit(ctx context.Context, b sink.Batch) error {
	if k.w == nil {
		return errors.New("commit: the store is not open")
	}
	if !k.held.Same(b.From) {
		return fmt.Errorf("commit after %v, the store holds %v: %w", b.From, k.held, sink.ErrConflict)
	}
	rest := b.Entries
	for {
		n := sameDay(rest)
		to := b.To
		if n < len(rest) {
			to = after(b.From, rest[n-1])
		}
		if err := k.commit(ctx, rest[:n], to); err != nil {
			return err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil
		}
	}
}

// sameDay counts the entries at the beginning that go to one file.
func sameDay(entries []sink.Entry) int {
	for i := range entries {
		if i > 0 && store.Day(entries[i].Time) != store.Day(entries[0].Time) {
			return i
		}
	}
	return len(entries)
}

// after is the position of a store that holds everything up to e.
func after(c sink.Committed, e sink.Entry) sink.Committed {
	c.Seq, c.Time, c.Part = e.Seq, e.Time, e.Index+1
	if e.Gap {
		c.Part = 0
	}
	return c
}

func (k *kind) commit(ctx context.Context, entries []sink.Entry, to sink.Committed) error {
	text, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	batch := store.Batch{Position: text}
	k.buf = k.buf[:0]
	for i := range entries {
		e := &entries[i]
		k.buf = append(k.buf, store.Entry{
			Line: e.Line, Subject: e.Subject, Seq: e.Seq, Time: e.Time, Again: e.Again,
		})
	}
	if len(entries) > 0 {
		batch.Entries, batch.Time = k.buf, entries[0].Time
	}
	err = k.w.Commit(ctx, batch)
	clear(k.buf) // the lines are the runner's
	if errors.Is(err, store.ErrConflict) {
		return errors.Join(err, sink.ErrConflict)
	}
	if err == nil {
		k.held = to
	}
	return err
}

// Close gives the directory free.
func (k *kind) Close() error {
	if k.w == nil {
		return nil
	}
	err := k.w.Close()
	k.w = nil
	return err
}
