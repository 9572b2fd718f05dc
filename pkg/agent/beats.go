package agent

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// beats shows that the process lives while tasks may be open: readers take long silence for its death.
type beats struct {
	tasks atomic.Bool // tasks of other programs came by
	quit  chan struct{}
	done  chan struct{}
}

func startBeats(o *Outlet) *beats {
	b := &beats{quit: make(chan struct{}), done: make(chan struct{})}
	go b.run(o)
	return b
}

func (b *beats) run(o *Outlet) {
	defer close(b.done)
	tick := time.NewTicker(tree.Beat)
	defer tick.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-tick.C:
			if b.tasks.Load() || o.proc.Open() > 0 {
				o.proc.Event(entry.Beat, zerolog.DebugLevel, o.sign("beat"))
			}
		}
	}
}

// stop ends the goroutine and waits for it.
func (b *beats) stop() {
	close(b.quit)
	<-b.done
}

// sign is the line of a beat or a death.
func (o *Outlet) sign(message string) []byte {
	level := entry.Debug
	if message == string(entry.Death) {
		level = entry.Info
	}
	b := appendName([]byte{'{'}, "level")
	b = append(entry.AppendString(b, level.String()), ',')
	b = append(appendName(b, "time"), '"')
	b = append(o.proc.AppendTime(b, time.Now()), '"', ',')
	return append(entry.AppendString(appendName(b, "message"), message), '}', '\n')
}
