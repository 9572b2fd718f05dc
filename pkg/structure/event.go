package structure

import (
	"strconv"
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/rs/zerolog"
)

// Event queues an entry that the process says about itself, outside of any task and under the token "task": its birth, a beat, its death. The
// line is a JSON object; a death also says what was refused outside of tasks. It returns the whole line as it was queued, false where it was refused.
func (p *Process) Event(event entry.Event, level zerolog.Level, line []byte) ([]byte, bool) {
	if p == nil {
		return nil, false
	}
	keys := appendEvent(nil, event)
	if event == entry.Death {
		keys = appendRefused(keys, &p.refused)
	}
	it := item{route: p.routes.outside.route, level: levelOf(level), system: true, body: bodyOf(line), keys: keys, keep: true}
	ok := p.put(&it)
	return it.kept, ok
}

// appendRefused appends the counts of refused entries by level, those under the token "task" as such; nothing where none was.
func appendRefused(b []byte, refused *[int(entry.None-entry.Trace) + 2]atomic.Uint64) []byte {
	first := true
	for i := range refused {
		n := refused[i].Load()
		if n == 0 {
			continue
		}
		if first {
			b = append(b, `,"refused":{`...)
		} else {
			b = append(b, ',')
		}
		first = false
		name := subject.TaskLevel
		if i < len(refused)-1 {
			name = (entry.Level(i) + entry.Trace).String()
		}
		b = entry.AppendString(b, name)
		b = append(b, ':')
		b = strconv.AppendUint(b, n, 10)
	}
	if !first {
		b = append(b, '}')
	}
	return b
}
