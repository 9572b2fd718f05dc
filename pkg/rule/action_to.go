package rule

import (
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
)

// to sends a copy of the entry as it stands to each of its streams that has none
// yet.
type to struct {
	blind
	streams []int
	names   []string
}

func parseTo(c *compiler, item config.Item) action {
	elems, ok := item.Value.([]config.Item)
	if !ok {
		c.fault(item.Errorf(`expected a list of streams like ["payments"], found %s`, item.Describe()))
		return nil
	}
	var names []string
	for _, e := range elems {
		name, ok := e.Value.(string)
		if !ok {
			c.fault(e.Errorf("expected the name of a stream in quotes, found %s", e.Describe()))
			continue
		}
		names = append(names, name)
	}
	if len(elems) == 0 {
		c.fault(item.Errorf("names no stream; leave it out for a rule that sends nowhere"))
	}
	fault := func(n int, format string, args ...any) { c.fault(elems[n].Errorf(format, args...)) }
	if len(names) < len(elems) {
		return nil
	}
	return to{streams: c.targets(names, fault), names: names}
}

// targets looks streams up. fault reports what is wrong with the nth name.
func (c *compiler) targets(names []string, fault func(n int, format string, args ...any)) []int {
	var found []int
	for n, name := range names {
		i, ok := c.streams[name]
		switch {
		case ok:
			found = append(found, i)
		case strings.Contains(name, "{"):
			fault(n, "templates like %q are not supported by this version of dlog", name)
		default:
			fault(n, "%s", noSuch("stream", name, c.streamNames()))
		}
	}
	return found
}

func (t to) apply(d *Decision, _ int) bool {
	for _, i := range t.streams {
		d.send(i)
	}
	return true
}

func (t to) String() string { return "to " + strings.Join(t.names, ", ") }
