package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// expectation is what a test's expect says; what it does not say is not checked.
type expectation struct {
	To        []string     `toml:"to"`
	Rules     []string     `toml:"rules"`
	DroppedBy string       `toml:"dropped_by"`
	DeadBy    string       `toml:"dead_by"`
	Copy      config.Table `toml:"copy"` // streams, each with contents
	contents
}

// contents is what copies must hold: conditions as in a rule's match.
type contents struct {
	Fields config.Table `toml:"fields"`
	Absent []string     `toml:"absent"`
}

func (c *contents) said() bool { return c.Fields.Present() || c.Absent != nil }

// allCopies stands for no stream in particular.
const allCopies = -1

// wantedCopy is a condition on what streams get.
type wantedCopy struct {
	stream int // index, or allCopies
	cond   cond.Cond
}

// test checks a test and makes its entry.
func (c *compiler) test(t Test, ns string) testCase {
	tc := testCase{name: t.Name, at: t.Self}
	if t.Name == "" {
		c.fault(t.Self.Fault("name", -1, "a test needs a name"))
	}
	var e expectation
	if err := t.Expect.Decode(&e); err != nil {
		c.fault(err)
	} else if e.To == nil && e.Rules == nil && e.DroppedBy == "" && e.DeadBy == "" && !e.said() && !e.Copy.Present() {
		c.fault(t.Self.Fault("expect", -1, `says nothing; write expect = { to = ["STREAM"] } or { dropped_by = "RULE" } or { fields = { … } }`))
	}
	c.known(t.Expect, "to", "stream", e.To, c.streams)
	c.known(t.Expect, "rules", "rule", e.Rules, c.rules)
	if e.DroppedBy != "" {
		c.known(t.Expect, "dropped_by", "rule", []string{e.DroppedBy}, c.rules)
	}
	if e.DeadBy != "" {
		c.known(t.Expect, "dead_by", "rule", []string{e.DeadBy}, c.rules)
	}
	tc.to, tc.rules, tc.dropped, tc.dead = e.To, e.Rules, e.DroppedBy, e.DeadBy
	tc.copies = c.copies(t, &e)
	if !t.In.Present() {
		c.fault(t.Self.Fault("in", -1, `is missing; write the entry, like in = { service = "gateway", level = "info", message = "hi" }`))
		return tc
	}
	var err error
	if tc.subject, tc.line, err = entryOf(t.In, ns); err != nil {
		c.fault(err)
	}
	return tc
}

// copies compiles what a test wants of them.
func (c *compiler) copies(t Test, e *expectation) []wantedCopy {
	var all []wantedCopy
	if e.said() {
		all = append(all, wantedCopy{allCopies, c.contents(t.Expect, e.contents)})
	}
	for _, item := range e.Copy.Items {
		at, ok := item.Value.(config.Table)
		if !ok {
			c.fault(item.Errorf(`expected a table like { fields = { … }, absent = ["email"] }, found %s`, item.Describe()))
			continue
		}
		if !c.has(c.streams, item.Key) {
			c.fault(item.Errorf("%s", noSuch("stream", item.Key, c.streamNames())))
			continue
		}
		var in contents
		if err := at.Decode(&in); err != nil {
			c.fault(err)
		}
		all = append(all, wantedCopy{c.streams[item.Key], c.contents(at, in)})
	}
	return all
}

// contents makes one condition of fields and absent.
func (c *compiler) contents(at config.Table, in contents) cond.Cond {
	table := in.Fields
	for n, name := range in.Absent {
		if _, err := newField(name); err != nil && !errors.Is(err, errOwnKey) {
			c.fault(at.Fault("absent", n, "%v", err))
		}
		table.Items = append(slices.Clip(table.Items), config.Item{Pos: at.Pos, Key: name, Path: at.Path + ".absent", Value: ""})
	}
	wanted, err := cond.Parse(table, config.Table{})
	if err != nil {
		c.fault(err)
	}
	return wanted
}

// known faults names that the file does not define: a test that speaks of
// something that is not there must not pass.
func (c *compiler) known(expect config.Table, key, what string, names []string, all map[string]int) {
	for n, name := range names {
		if !c.has(all, name) {
			c.fault(expect.Fault(key, n, "%s", noSuch(what, name, slices.Sorted(maps.Keys(all)))))
		}
	}
}

// entryOf makes the entry that a test's in says: its subject and its line.
func entryOf(in config.Table, ns string) (subject.Subject, []byte, error) {
	fields := map[string]any{}
	for _, item := range in.Items {
		place(fields, item.Key, plain(item.Value))
	}
	if err := texts(in, "service", "path", "level"); err != nil {
		return subject.Subject{}, nil, err
	}
	token, err := levelToken(in, fields)
	if err != nil {
		return subject.Subject{}, nil, err
	}
	service, path := take(fields, "service"), take(fields, "path")
	if service != "" {
		place(fields, "dlog.svc", service)
	}
	if path != "" {
		place(fields, "dlog.path", path)
	}
	s, err := subject.Parse(subject.In(ns, service, token, path))
	if err != nil {
		return s, nil, in.Errorf("%v", err)
	}
	line, err := marshal(fields)
	return s, line, err
}

// texts checks that what the subject is made of are texts.
func texts(in config.Table, keys ...string) error {
	for _, key := range keys {
		if item, ok := in.Get(key); ok {
			if _, isText := item.Value.(string); !isText {
				return item.Errorf("expected a text in quotes, found %s", item.Describe())
			}
		}
	}
	return nil
}

// levelToken is the subject's: the level's, or task for what frames tasks.
func levelToken(in config.Table, fields map[string]any) (string, error) {
	word, ok := fields["level"].(string)
	l, known := entry.ParseLevel(word)
	if ok && !known {
		return "", in.Fault("level", -1, `%q is not a level; the entries that frame tasks are those with dlog.event = "start" and the like`, word)
	}
	if meta, _ := fields["dlog"].(map[string]any); meta["event"] != nil {
		return subject.TaskLevel, nil
	}
	return l.Token(), nil
}

func take(fields map[string]any, key string) string {
	s, _ := fields[key].(string)
	delete(fields, key)
	return s
}

// place puts a value under a dotted key, into objects as conditions find it.
func place(fields map[string]any, key string, v any) {
	first, rest, dotted := strings.Cut(key, ".")
	if !dotted {
		if object, ok := v.(map[string]any); ok && len(object) > 0 {
			for k, x := range object {
				place(fields, key+"."+k, x)
			}
			return
		}
		fields[key] = v
		return
	}
	object, ok := fields[first].(map[string]any)
	if !ok {
		object = map[string]any{}
		fields[first] = object
	}
	place(object, rest, v)
}

// plain turns a value of TOML into one of JSON.
func plain(v any) any {
	switch v := v.(type) {
	case config.Table:
		object := map[string]any{}
		for _, item := range v.Items {
			place(object, item.Key, plain(item.Value))
		}
		return object
	case []config.Item:
		array := make([]any, len(v))
		for i, item := range v {
			array[i] = plain(item.Value)
		}
		return array
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return v
}

func marshal(fields map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		return nil, fmt.Errorf("make entry: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
