package rule

import (
	"github.com/dlog-fabric/dlog/pkg/config"
)

// action is what a matching rule does with an entry. An action does not change
// and is used by many goroutines.
type action interface {
	// apply carries the action out. rule is the index of its rule. False ends the
	// entry: no later rule is asked, and d says whether it was dropped or is dead.
	apply(d *Decision, rule int) bool
	// removes reports whether the action can keep an entry from a stream. Such a
	// rule leaves the entries that frame tasks alone where it asks for a level.
	removes() bool
	// looks reports whether the action needs the line: then no subject alone
	// decides about the entry.
	looks() bool
	// touches lists the fields that the action may change, dotted; any stands for
	// fields that only the entry knows.
	touches() (fields []string, any bool)
	// String is the action in a canonical form, for people and for Set.Hash. It
	// begins with the action's key.
	String() string
}

// blind is embedded by actions that leave the line alone and do not look at it.
type blind struct{}

func (blind) removes() bool             { return false }
func (blind) looks() bool               { return false }
func (blind) touches() ([]string, bool) { return nil, false }

// changing is embedded by actions that change the line.
type changing struct{}

func (changing) removes() bool { return false }
func (changing) looks() bool   { return true }

// kind is an action as it stands in a file. parse returns nil without a fault
// for an action that is switched off.
type kind struct {
	key   string
	parse func(c *compiler, item config.Item) action
}

// kinds lists the actions in the order in which a rule carries them out.
var kinds = []kind{
	{"sample", parseSample},
	{"parse", parseParse},
	{"rename", parseRename},
	{"set", parseSet},
	{"remove", parseRemove},
	{"redact", parseRedact},
	{"to", parseTo},
	{"drop", parseDrop},
}

// laterKeys are keys of a rule that other versions of dlog know. They are
// refused: a rule that silently did half of what it says would be worse.
var laterKeys = []string{"throttle", "dedupe", "keep_task", "from", "until", "days"}

// Fault says why a rule could not be applied to an entry. It never holds what
// the entry says.
type Fault struct {
	Action string // "redact"
	Field  string // dotted
	Why    string
}

// Error returns all three in one line.
func (f *Fault) Error() string { return f.Action + " " + f.Field + ": " + f.Why }

// fail ends an entry that an action cannot be applied to.
func (d *Decision) fail(rule int, action, field, why string) bool {
	d.Dead, d.Fault = rule, Fault{action, field, why}
	return false
}
