package config

import (
	"sort"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Identities of values inside a file: every step is sep + name for a key and
// index + number for an element of an array. Neither byte can be in a TOML key
// that is written bare; in a quoted one it must be escaped and is very odd, and
// the worst that follows is a wrong line number.
const (
	sep   = "\x00"
	index = "\x01"
)

func element(id string, i int) string { return id + index + strconv.Itoa(i) }

// places knows where each key and array element of a text begins.
type places struct {
	lines  []int          // offset of each line's first byte
	offset map[string]int // by identity
}

func (p *places) find(id string) (offset, line int) {
	offset, ok := p.offset[id]
	if !ok {
		return 0, 0
	}
	return offset, sort.SearchInts(p.lines, offset+1)
}

// locate walks a text that is known to be valid TOML. It is forgiving: what it
// does not understand it steps over.
func locate(text string) *places {
	l := locator{s: text, p: &places{lines: []int{0}, offset: map[string]int{}}, count: map[string]int{}}
	for i := range len(text) {
		if text[i] == '\n' {
			l.p.lines = append(l.p.lines, i+1)
		}
	}
	l.file()
	return l.p
}

type locator struct {
	s     string
	i     int
	p     *places
	count map[string]int // arrays of tables: elements so far
}

func (l *locator) file() {
	prefix := ""
	if strings.HasPrefix(l.s, "\ufeff") {
		l.i = len("\ufeff")
	}
	for l.blank(); l.i < len(l.s); l.blank() {
		from := l.i
		switch {
		case strings.HasPrefix(l.s[l.i:], "[["):
			l.i += 2
			prefix = l.header(from, true)
		case l.s[l.i] == '[':
			l.i++
			prefix = l.header(from, false)
		default:
			l.pair(prefix)
		}
		if l.i == from {
			l.i++
		}
	}
}

// header reads the names of [a.b] or [[a.b]] and returns the identity of the
// table that the following lines fill.
func (l *locator) header(from int, many bool) string {
	id := ""
	names := l.names()
	for n, name := range names {
		id += sep + name
		last := n == len(names)-1
		l.note(id, from)
		if last && many {
			l.count[id]++
			l.note(element(id, l.count[id]-1), from)
		}
		if c := l.count[id]; c > 0 {
			id = element(id, c-1)
		}
	}
	l.line()
	return id
}

// pair reads key = value.
func (l *locator) pair(prefix string) {
	from := l.i
	for _, name := range l.names() {
		prefix += sep + name
		l.note(prefix, from)
	}
	l.space()
	if l.at('=') {
		l.i++
		l.space()
		l.value(prefix)
	}
}

func (l *locator) value(id string) {
	switch {
	case l.at('['):
		l.i++
		l.array(id)
	case l.at('{'):
		l.i++
		l.inline(id)
	case l.at('"'), l.at('\''):
		l.str()
	default:
		for l.i < len(l.s) && !strings.ContainsRune(",]}#\n", rune(l.s[l.i])) {
			l.i++
		}
	}
}

func (l *locator) array(id string) {
	for n := 0; ; {
		l.blank()
		switch {
		case l.i >= len(l.s):
			return
		case l.at(']'):
			l.i++
			return
		case l.at(','):
			l.i++
		default:
			from := l.i
			eid := element(id, n)
			l.note(eid, from)
			l.value(eid)
			n++
			if l.i == from {
				l.i++
			}
		}
	}
}

func (l *locator) inline(id string) {
	for {
		l.blank()
		from := l.i
		switch {
		case l.i >= len(l.s):
			return
		case l.at('}'):
			l.i++
			return
		case l.at(','):
			l.i++
		default:
			l.pair(id)
		}
		if l.i == from {
			l.i++
		}
	}
}

// names reads a dotted key.
func (l *locator) names() []string {
	var names []string
	for {
		l.space()
		from := l.i
		switch {
		case l.at('"'), l.at('\''):
			l.str()
			names = append(names, unquote(l.s[from:l.i]))
		default:
			for l.i < len(l.s) && !strings.ContainsRune(".=]} \t\r\n#,\"'", rune(l.s[l.i])) {
				l.i++
			}
			names = append(names, l.s[from:l.i])
		}
		l.space()
		if !l.at('.') {
			return names
		}
		l.i++
	}
}

func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	if !strings.Contains(s, `\`) || s[0] == '\'' {
		return s[1 : len(s)-1]
	}
	var v struct{ K string }
	if _, err := toml.Decode("K = "+s, &v); err != nil {
		return s
	}
	return v.K
}

// str steps over a string of any of the four kinds.
func (l *locator) str() {
	quote := l.s[l.i : l.i+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(l.s[l.i:], long) {
		l.i += 3
		l.until(long, quote == `"`)
		for l.i < len(l.s) && l.s[l.i:l.i+1] == quote { // up to two quotes may stand before the closing three
			l.i++
		}
		return
	}
	l.i++
	l.until(quote, quote == `"`)
}

func (l *locator) until(end string, escapes bool) {
	for l.i < len(l.s) {
		if escapes && l.s[l.i] == '\\' {
			l.i += 2
			continue
		}
		if strings.HasPrefix(l.s[l.i:], end) {
			l.i += len(end)
			return
		}
		l.i++
	}
	l.i = len(l.s)
}

// note keeps the first place of an identity.
func (l *locator) note(id string, offset int) {
	if _, ok := l.p.offset[id]; !ok {
		l.p.offset[id] = offset
	}
}

func (l *locator) at(c byte) bool { return l.i < len(l.s) && l.s[l.i] == c }

func (l *locator) space() {
	for l.at(' ') || l.at('\t') {
		l.i++
	}
}

// blank steps over white space, line ends and comments.
func (l *locator) blank() {
	for l.i < len(l.s) {
		switch l.s[l.i] {
		case ' ', '\t', '\r', '\n':
			l.i++
		case '#':
			l.line()
		default:
			return
		}
	}
}

func (l *locator) line() {
	if n := strings.IndexByte(l.s[l.i:], '\n'); n >= 0 {
		l.i += n + 1
		return
	}
	l.i = len(l.s)
}
