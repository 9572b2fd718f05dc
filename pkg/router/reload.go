package router

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// lookEvery is how often the files are looked at. A file counts as changed when two looks in a row find it in the same new state, so
// that one which is still being written is left alone.
const lookEvery = 500 * time.Millisecond

// reloads is what became of attempts to take over new rules.
type reloads struct {
	mu     sync.Mutex // guards what follows
	good   uint64
	bad    uint64
	failed error // why the file is not in force; nil when it is
	since  time.Time
}

func (r *reloads) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.good++
	} else {
		r.bad++
		r.since = time.Now()
	}
	r.failed = err
}

func (r *reloads) read() (good, bad uint64, failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.good, r.bad, r.failed
}

// warning says, on one line, that the file is not in force; "" when it is.
func (r *reloads) warning() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		return ""
	}
	return fmt.Sprintf("older rules are in force: the configuration was refused at %s: %s",
		r.since.UTC().Format(time.RFC3339), strings.ReplaceAll(r.failed.Error(), "\n", "; "))
}

// follow takes over new rules when it is told to or a file changes, until ctx ends.
func (r *run) follow(ctx context.Context) {
	if r.opts.Load == nil {
		return
	}
	was := stamps(r.opts.Files) // in force
	before := was               // at the last look
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.opts.Reload:
			was = stamps(r.opts.Files)
			r.reload(ctx)
		case <-t.C:
			now := stamps(r.opts.Files)
			if now != was && now == before {
				was = now
				r.reload(ctx)
			}
			before = now
		}
	}
}

// stamps tells states of files apart.
func stamps(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if s, err := os.Stat(f); err != nil {
			fmt.Fprintf(&b, "%s: not there; ", f)
		} else {
			fmt.Fprintf(&b, "%s: %d bytes at %d; ", f, s.Size(), s.ModTime().UnixNano())
		}
	}
	return b.String()
}

// reload takes over the rules of the configuration, or keeps the old ones and says why.
func (r *run) reload(ctx context.Context) {
	cfg, err := r.opts.Load()
	if err == nil {
		err = r.replace(ctx, cfg)
	}
	if ctx.Err() != nil {
		return
	}
	r.reloads.note(err)
	if err != nil {
		r.log.Error().Err(err).Msg("the new configuration is refused, the old rules stay in force")
		return
	}
	set := r.engine.rules.Load().set
	r.log.Info().Int("streams", len(set.Streams)).Int("rules", len(set.Rules)).Str("hash", set.Hash()).Msg("new rules are in force")
	if !reflect.DeepEqual(cfg.Server, r.cfg.Server) || !reflect.DeepEqual(cfg.NATS, r.cfg.NATS) || cfg.In != r.cfg.In {
		r.log.Warn().Msg("changes of [server], [nats] and [in] need a restart")
	}
}

// replace compiles the rules and runs their tests aside, makes their streams, and swaps one pointer. Messages that are being routed
// at that moment obey the old rules, all others the new ones.
func (r *run) replace(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Namespace != r.cfg.Namespace {
		return fmt.Errorf("namespace: %q became %q; that needs a restart", r.cfg.Namespace, cfg.Namespace)
	}
	set, err := rule.Compile(cfg.File)
	if err != nil {
		return err
	}
	if err := set.RunTests(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.engine.obey(ctx, set, r.most())
}

// most caps the bytes of streams by the disk that they lie on.
func (r *run) most() func(own uint64) int64 {
	if r.host == nil {
		return func(uint64) int64 { return 0 }
	}
	return r.host.most
}

// obey makes the streams of a set and puts it in force. After an error the rules before stay in force. It is called by one
// goroutine at a time.
func (e *engine) obey(ctx context.Context, set *rule.Set, most func(own uint64) int64) error {
	var specs []stream.Spec
	for i := range set.Streams {
		spec, err := e.makeWithin(ctx, specOf(e.ns, &set.Streams[i]), most)
		if err != nil {
			return err
		}
		if err := e.durables(ctx, spec.Name, set.Streams[i].Sinks); err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	e.count.know(set)
	e.rules.Store(e.generation(set, specs))
	return nil
}
