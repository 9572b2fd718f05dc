package view

import (
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Line appends an entry on one line: time, level, service, path, message and
// fields. service is that of the subject it travelled on; "" takes what the
// entry says itself. Eliot's messages are to be read with tree.ReadEliot first.
func Line(dst []byte, e *entry.Entry, service string, o Options) []byte {
	p := o.pen()
	p.dst = dst
	p.fits = len(dst)
	if service == "" {
		service = e.Meta.Svc
	}
	p.left(dim, o.moment(e.Time), o.timeWidth())
	p.text(none, " ")
	p.left(levelStyle(e.Level), levelWord(e), 6)
	if service != "" {
		p.text(none, " ")
		p.text(cyan, service)
	}
	if e.Meta.Path != "" {
		p.text(none, " ")
		p.text(violet, p.shortPath(e.Meta.Path))
	}
	if !frames(e) {
		p.message(e)
	}
	if e.HasMeta && e.Meta.Event == entry.End {
		p.ending(e)
	}
	p.fields(e)
	p.end()
	return p.dst
}

// shortPath is pathText that leaves room for what was said: the first names go.
func (p *pen) shortPath(path string) string {
	names := task.SplitPath(path)
	text := pathText(path)
	for p.width > 0 && len(names) > 1 && Width(text) > max(p.width/3, 12) {
		names = names[1:]
		text = joinNames(append([]string{"…"}, names...))
	}
	return text
}

// frames reports whether the entry is a start or an end, whose message is the
// name that its path ends in.
func frames(e *entry.Entry) bool {
	return (e.Meta.Event == entry.Start || e.Meta.Event == entry.End) && e.Meta.Path != "" && e.Message == task.BaseName(e.Meta.Path)
}

func (o Options) timeWidth() int {
	if o.TimeFormat != "" {
		return len(o.TimeFormat)
	}
	return len(clock)
}

func (p *pen) message(e *entry.Entry) {
	if e.Message == "" {
		return
	}
	p.text(none, " ")
	st := none
	if serious(e.Level) {
		st = bold
	}
	p.text(st, e.Message)
}

// ending says how a task ended.
func (p *pen) ending(e *entry.Entry) {
	if o := e.Meta.Outcome; o != "" {
		p.text(none, " ")
		p.text(outcomeStyle(o), string(o))
	}
	if e.Meta.HasElapsed {
		p.text(dim, " in "+Duration(e.Meta.ElapsedMS))
	}
}

func serious(l entry.Level) bool { return l >= entry.Error && l <= entry.Panic }

// levelWord returns what stands in the column of the level: of dlog's own
// entries, what they are.
func levelWord(e *entry.Entry) string {
	if e.HasMeta && e.Meta.Event != "" {
		return string(e.Meta.Event)
	}
	if e.Level == entry.None {
		return "-"
	}
	return e.Level.String()
}

func levelStyle(l entry.Level) style {
	switch l {
	case entry.Trace, entry.Debug, entry.None:
		return dim
	case entry.Info:
		return green
	case entry.Warn:
		return yellow
	}
	return alarm
}
