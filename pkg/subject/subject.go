package subject

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// TaskLevel stands in place of the level for entries that frame tasks: start, end, export,
// birth, beat, death and gap. Rules about levels so tear no holes in trees.
const TaskLevel = "task"

// MaxNames is how many names of a path a subject holds.
const MaxNames = 8

// The kinds of subjects that hold entries.
const (
	KindIn   = "in"
	KindTo   = "to"
	KindDead = "dead"
)

// none stands where there is no name: outside of any task, or without a service.
const none = "-"

// In returns the subject of what a service says: <ns>.in.<service>.<level>.<names>. The
// service is raw, the level is a token, the path is escaped as pkg/task does; "" is outside
// of any task.
func In(ns, service, level, path string) string {
	var buf [256]byte
	return string(AppendIn(buf[:0], ns, service, level, path))
}

// AppendIn appends what In returns. It does not allocate where dst has room.
func AppendIn(dst []byte, ns, service, level, path string) []byte {
	dst = append(append(append(dst, ns...), '.'), KindIn...)
	return appendTail(dst, service, level, path)
}

// To returns the subject of what the rules send to a stream:
// <ns>.to.<stream>.<service>.<level>.<names>.
func To(ns, stream, service, level, path string) string {
	var buf [256]byte
	dst := append(append(append(buf[:0], ns...), '.'), KindTo...)
	dst = append(append(dst, '.'), stream...)
	return string(appendTail(dst, service, level, path))
}

// InToTo returns the subject under which a stream gets what was said under in: the service,
// the level and the names stay as they are. A subject of the form To returns goes from its
// stream to the new one.
func InToTo(in, ns, stream string) string {
	_, rest, _ := strings.Cut(in, ".")
	kind, rest, _ := strings.Cut(rest, ".")
	if kind == KindTo {
		_, rest, _ = strings.Cut(rest, ".")
	}
	if rest == "" {
		rest = none
	}
	return ns + "." + KindTo + "." + stream + "." + rest
}

// Dead returns the subject of what could not be used: <ns>.dead.<reason>.<service>. The
// service is raw.
func Dead(ns, reason, service string) string {
	return ns + "." + KindDead + "." + reason + "." + ServiceToken(service)
}

// DeadToken is Dead for a service token taken from a parsed subject.
func DeadToken(ns, reason, serviceToken string) string {
	if serviceToken == "" {
		serviceToken = none
	}
	return ns + "." + KindDead + "." + reason + "." + serviceToken
}

func appendTail(dst []byte, service, level, path string) []byte {
	dst = appendService(append(dst, '.'), service)
	dst = append(append(dst, '.'), level...)
	return appendNames(append(dst, '.'), path)
}

// appendNames appends the tokens of a path, at most MaxNames of them.
func appendNames(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, none...)
	}
	for n := 1; ; n++ {
		name, rest, more := strings.Cut(path, "/")
		if n == MaxNames && more {
			return append(dst, '=')
		}
		dst = appendEscapedName(dst, name)
		if !more {
			return dst
		}
		dst, path = append(dst, '.'), rest
	}
}

// Subject is a subject taken apart. Its strings are parts of the subject.
type Subject struct {
	NS           string
	Kind         string // KindIn, KindTo or KindDead
	Stream       string // where Kind is KindTo
	Reason       string // where Kind is KindDead
	ServiceToken string // escaped; "-" where none was named
	Level        string // token: a level's word or TaskLevel; "none" where the subject ends before it
	Names        string // tokens joined by dots; "" outside of any task
	Lossy        bool   // a token was folded or cut, or the path is deeper: dlog.path decides
}

// ErrForeign means that a subject is none of those that hold entries.
var ErrForeign = errors.New("not a subject of entries")

// Parse takes a subject apart. It takes what others publish as far as it can be understood:
// only a subject without namespace, kind and service, or with an empty token, is an error, which
// is ErrForeign. Parse does not allocate but for an error.
func Parse(s string) (Subject, error) {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return Subject{}, foreign(s)
	}
	var sub Subject
	var rest string
	sub.NS, rest, _ = strings.Cut(s, ".")
	sub.Kind, rest, _ = strings.Cut(rest, ".")
	switch sub.Kind {
	case KindIn:
	case KindTo:
		sub.Stream, rest, _ = strings.Cut(rest, ".")
	case KindDead:
		sub.Reason, rest, _ = strings.Cut(rest, ".")
	default:
		return Subject{}, foreign(s)
	}
	if rest == "" {
		return Subject{}, foreign(s)
	}
	sub.ServiceToken, rest, _ = strings.Cut(rest, ".")
	if sub.Kind == KindDead {
		return sub, nil
	}
	sub.Level, sub.Names, _ = strings.Cut(rest, ".")
	if sub.Level == "" {
		sub.Level = "none"
	}
	if sub.Names == none {
		sub.Names = ""
	}
	sub.Lossy = lossyNames(sub.Names)
	return sub, nil
}

func foreign(s string) error {
	return fmt.Errorf("parse subject %.80q: %w", s, ErrForeign)
}

// Service returns the service's name without escapes, "" where none was named. Of a name
// that was cut it returns what is left.
func (s Subject) Service() string {
	if s.ServiceToken == none {
		return ""
	}
	return task.UnescapeName(s.ServiceToken)
}

// Path returns the path as "dlog.path" has it, "" outside of any task. Of a lossy subject it
// returns the tokens as they stand, for people to see.
func (s Subject) Path() string {
	if s.Names == "" {
		return ""
	}
	var buf [256]byte
	dst := buf[:0]
	for names, more := s.Names, true; more; {
		var token string
		token, names, more = strings.Cut(names, ".")
		if lossyToken(token) {
			dst = append(dst, token...)
		} else {
			dst = task.AppendName(dst, task.UnescapeName(token))
		}
		if more {
			dst = append(dst, '/')
		}
	}
	return string(dst)
}

// InTask reports whether the subject is that of a task's entries.
func (s Subject) InTask() bool { return s.Names != "" }
