package cli

import (
	"context"
	"time"

	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// treeConfig says what is known of a source beside its entries.
func (s *sourceFlags) treeConfig(ctx context.Context, src source, now time.Time) tree.Config {
	cfg := tree.Config{Now: func() time.Time { return now }, Part: s.partial(), DropLoose: true}
	n, ok := src.(*natsSource)
	if !ok {
		return cfg
	}
	known := judges{ledger.NewJudge(ctx, n.js, n.ns, ledger.Window{Since: s.sinceTime})}
	if oldest, trimmed := n.oldest(ctx); trimmed {
		known = append(known, expiry{oldest})
	}
	cfg.Judge = known
	return cfg
}

// judges ask one after the other; the first that knows something of a run decides.
type judges []tree.Judge

// Judge implements [tree.Judge].
func (j judges) Judge(run tree.Absent) []tree.Verdict {
	for _, judge := range j {
		if verdicts := judge.Judge(run); len(verdicts) > 0 {
			return verdicts
		}
	}
	return nil
}

// oldest returns when the oldest message that is left was stored, and whether any older one is gone. A stream that does not
// tell is read all the same, and says what is wrong then.
func (n *natsSource) oldest(ctx context.Context) (time.Time, bool) {
	s, err := n.js.Stream(ctx, n.streamName())
	if err != nil {
		return time.Time{}, false
	}
	state := s.CachedInfo().State
	return state.FirstTime, state.FirstSeq > 1
}

// expiry explains what is absent because the limits of the stream removed it: the beginnings of tasks in traces that are older
// than all that is left. What stands between entries that are there was not removed, since the oldest go first.
type expiry struct{ oldest time.Time }

// Judge implements [tree.Judge].
func (x expiry) Judge(run tree.Absent) []tree.Verdict {
	began, ok := run.Trace.Time()
	if !ok || run.After != 0 || !began.Before(x.oldest) {
		return nil
	}
	return []tree.Verdict{{First: run.First, Last: run.Last, Reason: tree.Expired}}
}
