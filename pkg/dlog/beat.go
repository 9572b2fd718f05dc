package dlog

import (
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/rs/zerolog"
)

// The entries that a process says about itself.
const (
	birth = entry.Birth
	beat  = entry.Beat
	death = entry.Death
)

// beatEvery is how often a process with open tasks shows that it lives; readers take three missing ones for its death.
const beatEvery = 30 * time.Second

// beats is the goroutine that shows life while tasks are open.
type beats struct {
	quit chan struct{}
	done chan struct{}
}

func startBeats(p *structure.Process) *beats {
	b := &beats{quit: make(chan struct{}), done: make(chan struct{})}
	go b.run(p)
	return b
}

func (b *beats) run(p *structure.Process) {
	defer close(b.done)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-tick.C:
			if p.Open() > 0 {
				p.Event(beat, zerolog.DebugLevel, status(p, "beat"))
			}
		}
	}
}

// stop ends the goroutine and waits for it.
func (b *beats) stop() {
	close(b.quit)
	<-b.done
}

func (c *Client) status(message string) []byte { return status(c.tasks, message) }

// status is the line of a beat or a death.
func status(p *structure.Process, message string) []byte {
	level := zerolog.DebugLevel
	if message == string(death) {
		level = zerolog.InfoLevel
	}
	b := []byte{'{'}
	if zerolog.LevelFieldName != "" {
		b = append(entry.AppendString(b, zerolog.LevelFieldName), ':')
		b = append(entry.AppendString(b, zerolog.LevelFieldMarshalFunc(level)), ',')
	}
	b = strconv.AppendInt(append(b, `"open":`...), int64(p.Open()), 10)
	b = append(entry.AppendString(append(b, ','), zerolog.TimestampFieldName), ':', '"')
	b = append(p.AppendTime(b, time.Now()), '"', ',')
	b = append(entry.AppendString(b, zerolog.MessageFieldName), ':')
	return append(entry.AppendString(b, message), '}', '\n')
}
