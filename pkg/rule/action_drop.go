package rule

import (
	"github.com/dlog-fabric/dlog/pkg/config"
)

// drop ends an entry: copies made before stay, nothing more is made.
type drop struct{ blind }

func parseDrop(c *compiler, item config.Item) action {
	on, ok := item.Value.(bool)
	if !ok {
		c.fault(item.Errorf("expected true or false, found %s", item.Describe()))
	}
	if !on {
		return nil
	}
	return drop{}
}

func (drop) apply(d *Decision, rule int) bool {
	d.Dropped = rule
	return false
}

func (drop) removes() bool  { return true }
func (drop) String() string { return "drop" }
