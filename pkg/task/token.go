package task

import (
	"errors"
	"fmt"
	"strings"
)

// Where a token travels: HTTP, NATS and gRPC metadata, the environment of a child
// process, and the W3C header that goes with it for those who know no dlog.
const (
	HeaderTask        = "Dlog-Task"
	EnvTask           = "DLOG_TASK"
	HeaderTraceparent = "traceparent"
)

// MaxToken is the greatest length of a token in bytes that ParseToken accepts.
const MaxToken = 32 << 10

const tokenVersion = "01-"

// Token hands a task over to another process: the trace, the position of the export
// entry (never "") and the path of the exporting task, in the form of a path.
type Token struct {
	Trace Trace
	Pos   Position
	Path  string
}

var (
	errTokenForm = errors.New("must be 01-TRACE-POSITION-PATH")
	errTokenPos  = errors.New("the position is empty")
	errTokenPath = errors.New("the path must be names of A-Z a-z 0-9 _ - and =HH, joined by /")
)

// ParseToken reads what Token.String wrote. Anything else is an error: a token comes
// from outside.
func ParseToken(s string) (Token, error) {
	t, err := parseToken(s)
	if err != nil {
		return Token{}, fmt.Errorf("parse token %s: %w", quote(s), err)
	}
	return t, nil
}

func parseToken(s string) (Token, error) {
	const posAt = len(tokenVersion) + 32 + 1
	if len(s) > MaxToken {
		return Token{}, errTooLong
	}
	if len(s) < posAt || !strings.HasPrefix(s, tokenVersion) || s[posAt-1] != '-' {
		return Token{}, errTokenForm
	}
	trace, err := ParseTrace(s[len(tokenVersion) : posAt-1])
	if err != nil {
		return Token{}, err
	}
	text, path, ok := strings.Cut(s[posAt:], "-")
	if !ok {
		return Token{}, errTokenForm
	}
	pos, err := ParsePosition(text)
	if err != nil {
		return Token{}, err
	}
	if pos == "" {
		return Token{}, errTokenPos
	}
	if path, ok = parseSafePath(path); !ok {
		return Token{}, errTokenPath
	}
	return Token{Trace: trace, Pos: pos, Path: path}, nil
}

// String returns the token's text: safe in headers, in the environment and in a shell.
// It holds no more than A-Z a-z 0-9 and . ~ _ - = /.
func (t Token) String() string {
	dst := make([]byte, 0, len(tokenVersion)+32+1+len(t.Pos)+1+len(t.Path)+16)
	dst = append(dst, tokenVersion...)
	dst = append(t.Trace.AppendTo(dst), '-')
	dst = append(append(dst, t.Pos...), '-')
	return string(appendSafePath(dst, t.Path))
}

// appendSafePath appends a path with its names escaped as in subjects.
func appendSafePath(dst []byte, path string) []byte {
	for more := path != ""; more; {
		var name string
		name, path, more = strings.Cut(path, "/")
		dst = AppendSafe(dst, UnescapeName(name))
		if more {
			dst = append(dst, '/')
		}
	}
	return dst
}

// parseSafePath is the inverse of appendSafePath.
func parseSafePath(s string) (path string, ok bool) {
	dst := make([]byte, 0, len(s))
	for more := s != ""; more; {
		var name string
		name, s, more = strings.Cut(s, "/")
		if !isSafeName(name) {
			return "", false
		}
		dst = AppendName(dst, UnescapeName(name))
		if more {
			dst = append(dst, '/')
		}
	}
	return string(dst), true
}

// isSafeName reports whether s is something that AppendSafe writes.
func isSafeName(s string) bool {
	if s == "=" {
		return true
	}
	for i := 0; i < len(s); i++ {
		if IsSafe(s[i]) {
			continue
		}
		if _, ok := escapeAt(s, i); !ok {
			return false
		}
		i += 2
	}
	return s != ""
}

// Traceparent returns the W3C header that goes with the token: the span is that of the
// exporting task, sampled.
func (t Token) Traceparent() string {
	span := SpanID(t.Trace, t.Pos.Parent())
	dst := append(make([]byte, 0, traceparentLen), "00-"...)
	dst = append(t.Trace.AppendTo(dst), '-')
	return string(append(appendHex(dst, span[:]), "-01"...))
}

const traceparentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

var errTraceparent = errors.New("must be VERSION-TRACE-SPAN-FLAGS in lower-case hex digits")

// ParseTraceparent reads a W3C traceparent header (Trace Context, section 3.2): version 00
// as it is, later ones as far as this version knows them, ff never.
func ParseTraceparent(s string) (Trace, [8]byte, error) {
	trace, span, err := parseTraceparent(s)
	if err != nil {
		return Trace{}, [8]byte{}, fmt.Errorf("parse traceparent %s: %w", quote(s), err)
	}
	return trace, span, nil
}

func parseTraceparent(s string) (trace Trace, span [8]byte, err error) {
	later := len(s) > traceparentLen && s[traceparentLen] == '-' && s[:2] != "00"
	if len(s) != traceparentLen && !later {
		return trace, span, errTraceparent
	}
	if s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" || !isHex(s[:2]) || !isHex(s[53:55]) {
		return trace, span, errTraceparent
	}
	if err = parseHex(trace[:], s[3:35]); err == nil {
		err = parseHex(span[:], s[36:52])
	}
	return trace, span, err
}

func isHex(s string) bool {
	for i := range len(s) {
		if lowerDigit(s[i]) > 15 {
			return false
		}
	}
	return true
}
