package agent

import (
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// maxActions is how many actions of Eliot are remembered by name; then all are forgotten.
const maxActions = 8192

// An eliotReader turns messages of Eliot into drafts. Eliot writes the name of an action at its start and end only, so names are remembered: the
// path of an entry is made of them. It is as long as the beginnings of the actions above were seen.
type eliotReader struct {
	paths map[string]string // path by trace and position of the action
}

// read fills the draft from a message of Eliot; false where the line is none. The message stays whole: members are only added.
func (x *eliotReader) read(r *draft, line []byte, s *jsonScan, field []byte) bool {
	e, err := entry.Parse(line)
	if err != nil || !tree.ReadEliot(&e) {
		return false
	}
	r.level, r.meta, r.place = e.Level, e.Meta, eliot
	r.frames = e.Meta.Event != ""
	r.meta.Path = x.path(&e)
	if _, last, ok := e.Pos().Split(); ok && e.Meta.Event == entry.End {
		r.meta.N = last.N
	}
	if len(field) > 0 && !s.other[slotStream].Present() {
		s.more = append(s.more, field...)
	}
	if e.Level != entry.None && !s.levels[0].Present() {
		s.add("level", e.Level.String())
	}
	if _, has := e.Field("error"); !has && e.Error != "" {
		s.add("error", e.Error)
	}
	if !e.Time.IsZero() && !s.times[0].Present() {
		s.more = append(appendName(append(s.more, ','), "time"), '"')
		s.more = append(appendTime(s.more, e.Time), '"')
	}
	if e.Message != "" && !s.message[0].Present() {
		s.add("message", e.Message)
	}
	r.body = s.apply(line)
	return true
}

func (s *jsonScan) add(name, text string) {
	s.more = entry.AppendString(appendName(append(s.more, ','), name), text)
}

// path returns the path of the action that a message belongs to.
func (x *eliotReader) path(e *entry.Entry) string {
	action := e.Pos().Parent()
	if path, ok := x.paths[e.Meta.Trace+string(action)]; ok {
		return path
	}
	if e.Meta.Event != entry.Start && e.Meta.Event != entry.End {
		return ""
	}
	path := task.JoinPath(x.above(e.Meta.Trace, action), e.Message)
	if x.paths == nil {
		x.paths = make(map[string]string)
	}
	if len(x.paths) >= maxActions {
		clear(x.paths)
	}
	x.paths[e.Meta.Trace+string(action)] = path
	return path
}

// above returns the path of the nearest action above that is known, "" if there is none.
func (x *eliotReader) above(trace string, action task.Position) string {
	for action != "" {
		action = action.Parent()
		if path, ok := x.paths[trace+string(action)]; ok {
			return path
		}
	}
	return ""
}
