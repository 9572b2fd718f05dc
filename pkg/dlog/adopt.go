package dlog

import (
	"errors"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// adopt has the sender send what processes of this service left below the directory when they died. Those of other services are left to their own:
// this one may not have the right to publish for them.
func (w *wire) adopt(cfg Config, dir string) {
	left, err := spool.AdoptSome(dir, spool.MaxAdopted, func(birth []byte) bool {
		born, err := entry.Parse(birth)
		return err == nil && born.HasMeta && born.Meta.Svc == cfg.Service
	})
	if err != nil {
		say(cfg, "some spools of dead processes cannot be read and are left alone: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for _, q := range left {
		born, _ := entry.Parse(q.Birth()) // it could be read just now
		w.out.Adopt(q, func(err error) {
			if err == nil {
				w.bury(cfg, born.Meta, q)
			}
			if err = errors.Join(q.Err(), q.Close()); err != nil {
				say(cfg, "cannot finish with the spool of a dead process: %v", err)
			}
		})
	}
}

// bury says that a process is dead, once all that it said has been sent: its open tasks are abandoned from now on.
func (w *wire) bury(cfg Config, who entry.Meta, q *spool.Adopted) {
	refused := spool.Stats{Refused: q.Refused()}.RefusedByLevel()
	line := deathOf(who, q.LastSeq()+1, refused)
	f, err := w.queue.Reserve(subject.In(cfg.Namespace, cfg.Service, subject.TaskLevel, ""), entry.Warn, true, len(line))
	if err != nil {
		return // refused and counted; the silence of the process says the same, later
	}
	f.Commit(copy(f.Line, line))
}

func deathOf(who entry.Meta, seq uint64, refused map[string]uint64) []byte {
	line := []byte(`{"level":"warn","message":"death","found_by":"the next start of the service","time":"`)
	line = append(time.Now().UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z"), `"}`...)
	line, _ = entry.AppendLine(nil, line, entry.Meta{Svc: who.Svc, Proc: who.Proc, Seq: seq, Event: death, Refused: refused})
	return append(line, '\n')
}
