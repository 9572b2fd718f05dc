package cond

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// matcher is a regexp. The usual ones, a literal that stands somewhere or at
// the beginning, are compared as bytes, which is ten times faster.
type matcher struct {
	re         *regexp.Regexp // nil where literal says it all
	literal    string
	bytes      []byte // the same
	begin, end bool   // anchored
}

// compileRegexp reads RE2 syntax.
func compileRegexp(s string) (matcher, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return matcher{}, fmt.Errorf("bad regexp: %w", err)
	}
	if m, ok := literalOf(s); ok {
		return m, nil
	}
	return matcher{re: re}, nil
}

// literalOf recognizes x, ^x, x$ and ^x$ with a literal x.
func literalOf(s string) (matcher, bool) {
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return matcher{}, false
	}
	parts := []*syntax.Regexp{tree}
	if tree = tree.Simplify(); tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	var m matcher
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		m.begin, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		m.end, parts = true, parts[:n-1]
	}
	if len(parts) != 1 || parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
		return matcher{}, false
	}
	m.literal = string(parts[0].Rune)
	m.bytes = []byte(m.literal)
	return m, true
}

func (m matcher) matchBytes(b []byte) bool {
	switch {
	case m.re != nil:
		return m.re.Match(b)
	case m.begin && m.end:
		return bytes.Equal(b, m.bytes)
	case m.begin:
		return bytes.HasPrefix(b, m.bytes)
	case m.end:
		return bytes.HasSuffix(b, m.bytes)
	}
	return bytes.Contains(b, m.bytes)
}

func (m matcher) matchString(s string) bool {
	switch {
	case m.re != nil:
		return m.re.MatchString(s)
	case m.begin && m.end:
		return s == m.literal
	case m.begin:
		return strings.HasPrefix(s, m.literal)
	case m.end:
		return strings.HasSuffix(s, m.literal)
	}
	return strings.Contains(s, m.literal)
}

// matches is "~re": on a string's text, else on the JSON as it stands.
type matches struct {
	matcher
	said string
}

func (m matches) holds(v *entry.Value, r *Record) bool {
	return !absent(v) && m.matchBytes(r.Text(v))
}

func (m matches) String() string { return "~ " + word(m.said) }
