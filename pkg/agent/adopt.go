package agent

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// adopt has the sender send what outlets of this service left in the spool when they were killed.
func (o *Outlet) adopt() {
	if o.cfg.Spool == "" {
		return
	}
	dead, err := spool.AdoptSome(o.cfg.Spool, spool.MaxAdopted, func(birth []byte) bool {
		born, err := entry.Parse(birth)
		// Another service's is left to its own: this one may not have the right to publish for it.
		return err == nil && born.HasMeta && born.Meta.Svc == o.cfg.Service
	})
	if err != nil {
		o.say("some spools of dead processes cannot be read and are left alone: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for _, q := range dead {
		born, _ := entry.Parse(q.Birth()) // it could be read just now
		o.out.Adopt(q, func(err error) {
			if err == nil {
				o.bury(born.Meta, q)
			}
			if err := errors.Join(q.Err(), q.Close()); err != nil {
				o.say(fmt.Sprintf("cannot finish with the spool of a dead process: %v", err))
			}
		})
	}
}

// bury says that a process is dead, once all that it said was sent: its open tasks are abandoned.
func (o *Outlet) bury(who entry.Meta, q *spool.Adopted) {
	body := appendName([]byte(`{"level":"warn",`), "time")
	body = append(appendTime(append(body, '"'), time.Now()), `","message":"death"}`...)
	line, _ := entry.AppendLine(nil, body, entry.Meta{
		Svc: who.Svc, Proc: who.Proc, Seq: q.LastSeq() + 1, Event: entry.Death, Refused: spool.Stats{Refused: q.Refused()}.RefusedByLevel(),
	})
	line = append(line, '\n')
	f, err := o.queue.Reserve(subject.In(o.cfg.Namespace, o.cfg.Service, subject.TaskLevel, ""), entry.Warn, true, len(line))
	if err == nil { // else it is counted, and silence says the same later
		f.Commit(copy(f.Line, line))
	}
}
