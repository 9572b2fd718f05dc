package rule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/rule"
)

// slowActions are the actions of a rule that change an entry, done to maps as
// docs/rules.md tells.
type slowActions struct {
	Set, Rename, Redact, Parse map[string]any
	Remove                     []string
	Sample                     any
}

func (e *slowEntry) clone() slowEntry {
	c := *e
	c.fields = cloneMap(e.fields)
	return c
}

func cloneMap(m map[string]any) map[string]any {
	c := maps.Clone(m)
	for k, v := range c {
		if in, ok := v.(map[string]any); ok {
			c[k] = cloneMap(in)
		}
	}
	return c
}

// flat makes dotted keys of tables, but for those that say how to parse.
func flat(prefix string, t map[string]any, to map[string]any) map[string]any {
	for k, v := range t {
		in, isTable := v.(map[string]any)
		if _, as := in["as"]; isTable && !as {
			flat(prefix+k+".", in, to)
			continue
		}
		to[prefix+k] = v
	}
	return to
}

// lookup finds a key as it stands, else through objects.
func (e *slowEntry) lookup(key string) (any, bool) {
	if v, ok := e.fields[key]; ok {
		return v, true
	}
	m, last := e.parent(key)
	if m == nil {
		return nil, false
	}
	v, ok := m[last]
	return v, ok
}

// parent is the object that a dotted key lies in, nil where there is none.
func (e *slowEntry) parent(key string) (map[string]any, string) {
	names := strings.Split(key, ".")
	m := e.fields
	for _, n := range names[:len(names)-1] {
		m, _ = m[n].(map[string]any)
	}
	return m, names[len(names)-1]
}

func (e *slowEntry) remove(key string) {
	delete(e.fields, key)
	if m, last := e.parent(key); m != nil {
		delete(m, last)
	}
}

// replace puts what f makes of a value into each place that has one.
func (e *slowEntry) replace(key string, f func(any) any) {
	if v, ok := e.fields[key]; ok {
		e.fields[key] = f(v)
		if !strings.Contains(key, ".") {
			return
		}
	}
	if m, last := e.parent(key); m != nil {
		if v, ok := m[last]; ok {
			m[last] = f(v)
		}
	}
}

func (e *slowEntry) put(key string, v any) bool {
	if _, ok := e.lookup(key); ok {
		e.replace(key, func(any) any { return v })
		return true
	}
	names := strings.Split(key, ".")
	m := e.fields
	for _, n := range names[:len(names)-1] {
		if m[n] == nil {
			m[n] = map[string]any{}
		}
		in, ok := m[n].(map[string]any)
		if !ok {
			return false
		}
		m = in
	}
	m[names[len(names)-1]] = v
	return true
}

// change does all of a rule's changes; false: one cannot be done.
func (a *slowActions) change(e *slowEntry) bool {
	if !a.parse(e) || !a.rename(e) {
		return false
	}
	for k, v := range flat("", a.Set, map[string]any{}) {
		if n, ok := v.(int64); ok {
			v = float64(n)
		}
		if list, ok := v.([]any); ok {
			v = roundTrip(list)
		}
		if !e.put(k, v) {
			return false
		}
	}
	if _, ok := a.Set["level"]; ok {
		e.relevel()
	}
	for _, k := range a.Remove {
		_, had := e.fields[k]
		if e.remove(k); had && k == "level" {
			e.relevel()
		}
	}
	for k, how := range flat("", a.Redact, map[string]any{}) {
		if !redactSlowly(e, k, how.(string)) {
			return false
		}
	}
	return true
}

// relevel: what changes the level of a line changes that of the entry.
func (e *slowEntry) relevel() {
	e.level = "none"
	if l, ok := slowLevel(e.fields["level"]).(string); ok {
		e.level = l
	}
}

func slowLevel(v any) any {
	if s, ok := v.(string); ok && slices.Contains([]string{"trace", "debug", "info", "warn", "error", "fatal", "panic"}, s) {
		return s
	}
	return nil
}

func roundTrip(v any) (out any) {
	b, _ := json.Marshal(v)
	_ = json.Unmarshal(b, &out)
	return out
}

func (a *slowActions) rename(e *slowEntry) bool {
	for from, name := range flat("", a.Rename, map[string]any{}) {
		to := name.(string)
		v, ok := e.lookup(from)
		if !ok {
			continue
		}
		e.remove(to)
		i, j := strings.LastIndex(from, "."), strings.LastIndex(to, ".")
		if i < 0 && j < 0 || i > 0 && j > 0 && from[:i] == to[:j] {
			if v, ok := e.fields[from]; ok {
				e.fields[to] = v
			}
			if m, last := e.parent(from); m != nil && i > 0 {
				if v, ok := m[last]; ok {
					m[to[j+1:]] = v
				}
			}
			e.remove(from)
		} else if e.remove(from); !e.put(to, v) {
			return false
		}
		if to == "level" || from == "level" {
			e.relevel()
		}
	}
	return true
}

func redactSlowly(e *slowEntry, key, how string) bool {
	if how == "remove" {
		e.remove(key)
		return true
	}
	good := true
	e.replace(key, func(v any) any {
		switch v.(type) {
		case nil:
			return nil
		case map[string]any, []any:
			good = good && how == "mask"
		}
		text, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v)
			text = string(b)
		}
		switch how {
		case "mask":
			return "***"
		case "hash":
			h := hmac.New(sha256.New, []byte(testKey))
			h.Write([]byte(text))
			return hex.EncodeToString(h.Sum(nil))
		}
		if r := []rune(text); len(r) >= 8 {
			return "…" + string(r[len(r)-4:])
		}
		return "…"
	})
	return good
}

func (a *slowActions) parse(e *slowEntry) bool {
	for from, how := range flat("", a.Parse, map[string]any{}) {
		as, into := how, ""
		if t, ok := how.(map[string]any); ok {
			as, into = t["as"], t["into"].(string)
		}
		v, _ := e.lookup(from)
		if v == nil {
			continue
		}
		text, ok := v.(string)
		found := map[string]any{}
		switch {
		case !ok:
			return false
		case as == "json":
			if json.Unmarshal([]byte(text), &found) != nil {
				return false
			}
		default:
			re := regexp.MustCompile(as.(string)[1:])
			m := re.FindStringSubmatchIndex(text)
			if m == nil {
				return false
			}
			for i, name := range re.SubexpNames() {
				if name == "" || m[2*i] < 0 {
					continue
				}
				part := text[m[2*i]:m[2*i+1]]
				found[name] = part
				if f, err := strconv.ParseFloat(part, 64); err == nil && (part == "0" || part[0] != '0') && len(part) <= 15 {
					found[name] = f
				}
			}
		}
		if into != "" {
			if !e.put(into, found) {
				return false
			}
			continue
		}
		delete(found, "dlog")
		for k, v := range found {
			e.fields[k] = v
		}
		if _, ok := found["level"]; ok {
			e.relevel()
		}
	}
	return true
}

func slowSample(e *slowEntry, share any) bool {
	f, ok := share.(float64)
	if !ok {
		f = 0.5
	}
	if e.frame && e.trace == "" {
		return true
	}
	who := e.trace
	if who == "" {
		who = `"9f00112233445566"` + strconv.Itoa(e.seq)
	}
	sum := sha256.Sum256([]byte(who))
	return float64(binary.BigEndian.Uint64(sum[:8]))/(1<<64) < f
}

// compare tells whether the copies are what the slow evaluator made.
func (r *slowResult) compare(t *testing.T, set *rule.Set, d *rule.Decision, told string, line []byte, text string) {
	t.Helper()
	for n := range d.Streams {
		c, want := d.Copies[n], r.copies[n]
		var got map[string]any
		if err := json.Unmarshal(c.Line, &got); err != nil {
			t.Fatalf("%s: %v", c.Line, err)
		}
		if got["dlog"].(map[string]any)["svc"] != "liar" {
			t.Errorf("%s: dlog was touched", c.Line)
		}
		delete(got, "dlog")
		level := c.Level
		if level == "" {
			level = told
		}
		if want.frame {
			want.level = told
		}
		if !reflect.DeepEqual(got, want.fields) || level != want.level {
			t.Errorf("%s for %s\ngot  %s %s\nwant %s %v\n%s", line, set.Streams[d.Streams[n]].Name, level, c.Line, want.level, want.fields, text)
		}
	}
}
