package dlog

import (
	"strconv"
	"sync"
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

// beats shows life while tasks are open. A timer does it: a goroutine of its own would be one more in every application.
type beats struct {
	p *structure.Process

	mu      sync.Mutex // guards what follows, and is held during a beat
	timer   *time.Timer
	stopped bool
}

func startBeats(p *structure.Process) *beats {
	b := &beats{p: p}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(beatEvery, b.beat)
	return b
}

func (b *beats) beat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return
	}
	if b.p.Open() > 0 {
		b.p.Event(beat, zerolog.DebugLevel, status(b.p, "beat"))
	}
	b.timer.Reset(beatEvery)
}

// stop returns when no beat will be said any more.
func (b *beats) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	b.timer.Stop()
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
