package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// naive is a query on a list.
func naive(t *testing.T, entries []store.Entry, q store.Query) []got {
	t.Helper()
	var out []store.Entry
	for _, e := range entries {
		at := e.Time.Truncate(time.Millisecond)
		if !q.Since.IsZero() && at.Before(q.Since.Truncate(time.Millisecond)) || !q.Until.IsZero() && at.After(q.Until.Truncate(time.Millisecond)) {
			continue
		}
		s, _ := subject.Parse(e.Subject)
		if q.Frames && s.Level != subject.TaskLevel || q.Where != nil && !q.Where.Match(s, e.Line) {
			continue
		}
		if len(q.Words) > 0 && !hasAll(wordsOf(e.Line), q.Words) {
			continue
		}
		out = append(out, e)
	}
	if q.Newest {
		slices.Reverse(out)
	}
	return wanted(out)
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= 0x80 || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
	})
}

func fold(w string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, w)
}

func hasAll(words map[string]bool, want []string) bool {
	for _, text := range want {
		for _, w := range fields(text) {
			if !words[fold(w)] {
				return false
			}
		}
	}
	return true
}

// wordsOf are the words of a line by the manual, found with encoding/json.
func wordsOf(line []byte) map[string]bool {
	out := map[string]bool{}
	add := func(s string) {
		for _, w := range fields(s) {
			out[fold(w)] = true
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			add(v)
		case json.Number:
			add(v.String())
		case bool:
			add(fmt.Sprint(v))
		case nil:
			add("null")
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for k, x := range v {
				add(k)
				walk(x)
			}
		}
	}
	var top map[string]any
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.UseNumber()
	if d.Decode(&top) != nil {
		add(string(line))
		return out
	}
	for k, v := range top {
		add(k)
		switch meta, _ := v.(map[string]any); {
		case k == "time" || k == "timestamp":
		case k == "dlog":
			for _, m := range []string{"path", "errors", "stack", "caller", "func", "logger"} {
				if x, ok := meta[m]; ok {
					walk(x)
				}
			}
		default:
			walk(v)
		}
	}
	return out
}
