package rule

import (
	"github.com/dlog-fabric/dlog/pkg/config"
)

// action is what a matching rule does with an entry. An action does not change
// and is used by many goroutines.
type action interface {
	// apply carries the action out. rule is the index of its rule.
	apply(d *Decision, rule int)
	// removes reports whether the action can keep an entry from a stream. Such a
	// rule leaves the entries that frame tasks alone where it asks for a level.
	removes() bool
	// String is the action in a canonical form, for people and for Set.Hash.
	String() string
}

// kind is an action as it stands in a file. parse returns nil without a fault
// for an action that is switched off.
type kind struct {
	key   string
	parse func(c *compiler, item config.Item) action
}

// kinds lists the actions in the order in which a rule carries them out.
var kinds = []kind{
	{"to", parseTo},
	{"drop", parseDrop},
}

// laterKeys are keys of a rule that other versions of dlog know. They are
// refused: a rule that silently did half of what it says would be worse.
var laterKeys = []string{
	"sample", "throttle", "dedupe", "set", "rename", "remove", "parse", "redact", "keep_task", "from", "until", "days",
}
