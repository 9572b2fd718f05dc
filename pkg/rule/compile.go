package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// DefaultNamespace is that of a File that names none.
const DefaultNamespace = "dlog"

// Rule is a compiled rule.
type Rule struct {
	Name string

	at      config.Table
	cond    cond.Cond // for all entries but those that frame tasks
	frames  cond.Cond // for these
	never   bool      // these never match
	last    bool
	actions []action

	asksSubject bool // cond or frames do
}

// apply carries the actions out. False ends the entry.
func (r *Rule) apply(d *Decision, rule int) bool {
	d.Rules = append(d.Rules, rule)
	for _, a := range r.actions {
		if !a.apply(d, rule) {
			return false
		}
	}
	return true
}

// looks reports whether the rule, once it matches, needs the line.
func (r *Rule) looks() bool { return slices.ContainsFunc(r.actions, action.looks) }

// touches reports whether the rule may change any of the fields named.
func (r *Rule) touches(keys []string) bool {
	return slices.ContainsFunc(r.actions, func(a action) bool {
		fields, any := a.touches()
		return touchesAny(fields, any, keys)
	})
}

// String is the rule in a canonical form.
func (r *Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q: %v; frames ", r.Name, r.cond)
	if r.never {
		b.WriteString("never")
	} else {
		b.WriteString(r.frames.String())
	}
	for _, a := range r.actions {
		b.WriteString("; " + a.String())
	}
	if r.last {
		b.WriteString("; last")
	}
	return b.String()
}

// Compile checks a file and makes a Set of it. The error joins all faults, each
// a *config.Error with its line; see config.Faults.
func Compile(f File) (*Set, error) {
	c := compiler{file: f, streams: map[string]int{}, rules: map[string]int{}}
	c.key = c.redactKey()
	set := &Set{Namespace: f.Namespace, Streams: f.Streams, plans: newShapes()}
	if set.Namespace == "" {
		set.Namespace = DefaultNamespace
	}
	if err := subject.CheckNamespace(set.Namespace); err != nil {
		c.fault(f.Self.Fault("namespace", -1, "%v", reason(err)))
	}
	c.allStreams()
	set.defaults = c.allDefault()
	c.names()
	for _, t := range f.Rules {
		set.Rules = append(set.Rules, c.rule(t))
	}
	for _, t := range f.Tests {
		set.tests = append(set.tests, c.test(t, set.Namespace))
	}
	if len(c.faults) > 0 {
		return nil, config.Join(c.faults...)
	}
	set.index()
	set.hash = set.makeHash(c.key)
	return set, nil
}

// compiler gathers faults; what follows a fault goes on with what there is.
type compiler struct {
	file    File
	streams map[string]int // index by name
	rules   map[string]int
	faults  []error
	key     *hashKey // nil: the file has none, or a bad one
}

func (c *compiler) fault(err error) { c.faults = append(c.faults, err) }

func (c *compiler) streamNames() []string { return slices.Sorted(maps.Keys(c.streams)) }

// reason takes the words that name the thing from an error that already stands
// behind its key.
func reason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func noSuch(what, name string, known []string) string {
	s := fmt.Sprintf("there is no %s %q", what, name)
	if near, ok := config.Nearest(name, known); ok {
		return s + fmt.Sprintf("; did you mean %q?", near)
	}
	if len(known) == 0 {
		return s + fmt.Sprintf("; the file defines no %s", what)
	}
	return s
}

func (c *compiler) allStreams() {
	tables := elements(c.file.Self, "stream")
	for i, s := range c.file.Streams {
		at := tableAt(tables, i, "stream")
		switch err := subject.CheckStream(s.Name); {
		case s.Name == "":
			c.fault(at.Fault("name", -1, "a stream needs a name"))
		case err != nil:
			c.fault(at.Fault("name", -1, "%v", err))
		case c.has(c.streams, s.Name):
			c.fault(at.Fault("name", -1, "there are two streams %q", s.Name))
		}
		if s.Name != "" && !c.has(c.streams, s.Name) {
			c.streams[s.Name] = i
		}
	}
}

func (*compiler) has(names map[string]int, name string) bool {
	_, ok := names[name]
	return ok
}

// elements returns the tables of an array in the file; none for a File made in
// code.
func elements(self config.Table, key string) []config.Item {
	item, _ := self.Get(key)
	items, _ := item.Value.([]config.Item)
	return items
}

func tableAt(items []config.Item, i int, path string) config.Table {
	if i < len(items) {
		if t, ok := items[i].Value.(config.Table); ok {
			return t
		}
	}
	return config.Table{Path: path}
}

func (c *compiler) allDefault() []int {
	self := c.file.Self
	if c.file.Default == nil {
		c.fault(self.Fault("default", -1, `is missing; write [default] with to = ["STREAM"] for what no rule sends anywhere`))
		return nil
	}
	if len(c.file.Default.To) == 0 {
		c.fault(self.Fault("default.to", -1, "names no stream; to drop what no rule sent, end the file with a rule that drops"))
	}
	found := c.targets(c.file.Default.To, func(n int, format string, args ...any) {
		c.fault(self.Fault("default.to", n, format, args...))
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// names takes the rules' names first, so that tests may name any of them.
func (c *compiler) names() {
	for i, t := range c.file.Rules {
		item, ok := t.Get("name")
		name, _ := item.Value.(string)
		first, twice := c.rules[name]
		switch {
		case ok && name == "" || !ok:
			if _, isText := item.Value.(string); !ok || isText {
				c.fault(t.Fault("name", -1, "a rule needs a name: counters, explain and tests speak of it"))
			}
		case twice:
			c.fault(item.Errorf("there are two rules %q; the other is in line %d", name, c.file.Rules[first].Line))
		default:
			c.rules[name] = i
		}
	}
}

// head holds the keys of a rule that are not actions.
type head struct {
	Name        string       `toml:"name"`
	Match       config.Table `toml:"match"`
	Not         config.Table `toml:"not"`
	Last        bool         `toml:"last"`
	TaskEntries string       `toml:"task_entries"`
}

var headKeys = []string{"name", "match", "not", "last", "task_entries"}

func (c *compiler) rule(t config.Table) Rule {
	var h head
	r := Rule{at: t}
	var actions, rest []config.Item
	for _, item := range t.Items {
		if slices.Contains(headKeys, item.Key) {
			rest = append(rest, item)
		} else {
			actions = append(actions, item)
		}
	}
	headTable := t
	headTable.Items = rest
	if err := headTable.Decode(&h); err != nil {
		c.fault(err)
	}
	r.Name, r.last = h.Name, h.Last
	c.actions(&r, actions)
	c.conditions(&r, h)
	return r
}

func (c *compiler) actions(r *Rule, items []config.Item) {
	for _, k := range kinds {
		if i := slices.IndexFunc(items, func(i config.Item) bool { return i.Key == k.key }); i >= 0 {
			if a := k.parse(c, items[i]); a != nil {
				r.actions = append(r.actions, a)
			}
		}
	}
	known := slices.Clone(headKeys)
	for _, k := range kinds {
		known = append(known, k.key)
	}
	for _, item := range items {
		switch {
		case slices.Contains(known, item.Key):
		case slices.Contains(laterKeys, item.Key):
			c.fault(item.Errorf("is not supported by this version of dlog"))
		default:
			c.fault(config.Unknown(item, known))
		}
	}
	switch {
	case !r.has("drop"):
	case r.has("to"):
		c.fault(r.at.Errorf("to and drop exclude each other; to send copies and go no further write last = true"))
	case len(r.actions) > 1:
		c.fault(r.at.Errorf("what is dropped need not be changed or sampled; write two rules, or leave one out"))
	}
	if r.has("drop") {
		r.last = true
	}
	if len(r.actions) == 0 && len(items) == 0 && !r.last {
		c.fault(r.at.Errorf("the rule does nothing; write to, drop, redact or another action, or last"))
	}
}

// has reports whether the rule has an action whose form begins with the word.
func (r *Rule) has(word string) bool {
	return slices.ContainsFunc(r.actions, func(a action) bool {
		first, _, _ := strings.Cut(a.String(), " ")
		return first == word
	})
}

func (c *compiler) conditions(r *Rule, h head) {
	all, err := cond.Parse(h.Match, h.Not)
	if err != nil {
		c.fault(err)
	}
	removes := slices.ContainsFunc(r.actions, action.removes)
	if removes && !h.Match.Present() && !h.Not.Present() {
		c.fault(r.at.Errorf("would apply to every entry; write match = {} if that is meant"))
	}
	r.cond, r.frames, r.asksSubject = all, all, all.AsksSubject()
	switch h.TaskEntries {
	case "filter":
	case "", "keep":
		r.never = removes && all.HasLevel()
		r.frames = all.WithoutLevel()
	default:
		c.fault(r.at.Fault("task_entries", -1, `%q is neither "keep" nor "filter"`, h.TaskEntries))
	}
}

// makeHash covers all that decides where entries go, and nothing else.
func (s *Set) makeHash(key *hashKey) string {
	h := sha256.New()
	fmt.Fprintf(h, "dlog rules 1\ndefault")
	for _, i := range s.defaults {
		fmt.Fprintf(h, " %s", s.Streams[i].Name)
	}
	for i := range s.Rules {
		fmt.Fprintf(h, "\n%v", &s.Rules[i])
	}
	if key != nil && key.used {
		fmt.Fprintf(h, "\nkey %s", key.fingerprint())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
