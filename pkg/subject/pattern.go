package subject

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Pattern is a pattern of paths: names joined by "/", where "*" is any one name and "**", last,
// is the task itself and all below. "**" alone is any task. Names are written as in a path, so
// that a literal star is =2A. The zero Pattern matches nothing. A Pattern does not change and
// may be used by any number of goroutines.
type Pattern struct {
	text  string
	parts []part
	deep  bool // ends in "**"
}

// part is one name of a pattern.
type part struct {
	any   bool
	name  string // raw
	token string // folded, escaped, cut
}

// Answer is what a subject alone says of a pattern.
type Answer int8

// The answers. Maybe means that a lossy subject leaves it to the entry's path.
const (
	No Answer = iota
	Maybe
	Yes
)

// String returns "no", "maybe" or "yes".
func (a Answer) String() string {
	switch a {
	case Yes:
		return "yes"
	case Maybe:
		return "maybe"
	}
	return "no"
}

var (
	errEmptyName = errors.New("a name is empty")
	errDeep      = errors.New(`"**" stands for the task itself and all below: it must be last`)
	errStar      = errors.New(`"*" is one whole name; write =2A for a star in a name`)
)

// ParsePattern reads a pattern.
func ParsePattern(p string) (Pattern, error) {
	pattern := Pattern{text: p}
	for rest, more := p, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		switch {
		case name == "**" && more:
			return Pattern{}, badPattern(p, errDeep)
		case name == "**":
			pattern.deep = true
			return pattern, nil
		case name == "":
			return Pattern{}, badPattern(p, errEmptyName)
		case name != "*" && strings.Contains(name, "*"):
			return Pattern{}, badPattern(p, errStar)
		}
		pattern.parts = append(pattern.parts, newPart(name))
	}
	return pattern, nil
}

func badPattern(p string, cause error) error {
	return fmt.Errorf("parse path pattern %.80q: %w", p, cause)
}

func newPart(name string) part {
	if name == "*" {
		return part{any: true}
	}
	raw := task.UnescapeName(name)
	return part{name: raw, token: Token(raw)}
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Match reports whether the pattern matches an entry: by its subject, and where that is lossy
// by the path in the entry ("dlog.path"). Without one, a lossy subject is compared token by
// token, as if its path were what it shows.
func (p Pattern) Match(s Subject, dlogPath string) bool {
	answer := p.Subject(s)
	if answer != Maybe {
		return answer == Yes
	}
	if dlogPath == "" {
		return p.matchTokens(s.Names)
	}
	return p.MatchPath(dlogPath)
}

func (p Pattern) matchTokens(names string) bool {
	more := true
	for i := range p.parts {
		if !more {
			return false
		}
		var token string
		token, names, more = strings.Cut(names, ".")
		if !p.parts[i].any && p.parts[i].token != token {
			return false
		}
	}
	return !more || p.deep
}

// MatchPath reports whether the pattern matches a path, name by name, without folding. "", which
// is outside of any task, matches no pattern. It does not allocate but for long names with escapes.
func (p Pattern) MatchPath(path string) bool {
	if path == "" || len(p.parts) == 0 && !p.deep {
		return false
	}
	more := true
	for i := range p.parts {
		if !more {
			return false
		}
		var name string
		name, path, more = strings.Cut(path, "/")
		if !p.parts[i].matchName(name) {
			return false
		}
	}
	return !more || p.deep
}

func (p *part) matchName(escaped string) bool {
	if p.any || strings.IndexByte(escaped, '=') < 0 {
		return p.any || escaped == p.name
	}
	var buf [2 * maxToken]byte
	return string(task.AppendUnescaped(buf[:0], escaped)) == p.name
}

// Subject reports what the subject alone says: Yes and No are final, Maybe leaves it to the
// path in the entry. It does not allocate.
func (p Pattern) Subject(s Subject) Answer {
	if s.Names == "" || len(p.parts) == 0 && !p.deep {
		return No
	}
	answer := Yes
	names, more := s.Names, true
	for i := range p.parts {
		if !more {
			return No
		}
		var token string
		token, names, more = strings.Cut(names, ".")
		if token == "=" && !more { // one folded name, or all that is deeper
			return p.last(i)
		}
		a := p.parts[i].matchToken(token)
		if a == No {
			return No
		}
		answer = min(answer, a)
	}
	if more && !p.deep {
		return No
	}
	return answer
}

// last answers where part i stands against a last token that holds one name or more.
func (p Pattern) last(i int) Answer {
	if p.deep && p.parts[i].any && i == len(p.parts)-1 {
		return Yes
	}
	return Maybe
}

func (p *part) matchToken(token string) Answer {
	switch {
	case p.any:
		return Yes
	case token == "=":
		return Maybe
	case token != p.token:
		return No
	case lossyToken(token):
		return Maybe
	}
	return Yes
}
