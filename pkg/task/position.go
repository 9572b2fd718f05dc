package task

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Position is where an entry or a task stands below the outermost task, in the
// canonical text of the package's grammar: "2.4" for an entry, "2" for the task it
// belongs to, "" for the outermost task.
type Position string

// Step is one part of a position between two dots.
type Step struct {
	N       uint64 // the number, at least 1; 0 where Foreign is set
	Attempt string // 5 of a-z2-7 where an import continued this number, else ""
	Foreign string // 16 lower-case hex digits: the span of a stranger, only as first step
}

// MaxPosition is the greatest length of a position in bytes that ParsePosition accepts:
// more than a thousand tasks in one another.
const MaxPosition = 4096

const (
	attemptLen = 5
	foreignLen = 1 + 16 + 1 + attemptLen
)

var (
	errTooLong = errors.New("too long")
	errNumber  = errors.New("a number must be 1 or more, without leading zeros, and fit in 64 bits")
	errAttempt = errors.New("an attempt must be 5 of a-z2-7")
	errForeign = errors.New("a foreign span must be x, 16 lower-case hex digits, ~ and an attempt")
)

// ParsePosition checks s against the grammar. "" is the outermost task's position; who
// reads an entry's position refuses it. The result shares the memory of s.
func ParsePosition(s string) (Position, error) {
	if err := checkPosition(s); err != nil {
		return "", fmt.Errorf("parse position %s: %w", quote(s), err)
	}
	return Position(s), nil
}

func checkPosition(s string) error {
	if len(s) > MaxPosition {
		return errTooLong
	}
	if s == "" {
		return nil
	}
	check := checkNumber
	if s[0] == 'x' {
		check = checkForeign
	}
	for {
		step, rest, more := strings.Cut(s, ".")
		if err := check(step); err != nil {
			return err
		}
		if !more {
			return nil
		}
		s, check = rest, checkNumber
	}
}

// checkNumber checks 1*DIGIT [ "~" attempt ].
func checkNumber(s string) error {
	digits, attempt, claimed := strings.Cut(s, "~")
	if claimed && !validAttempt(attempt) {
		return errAttempt
	}
	if !validNumber(digits) {
		return errNumber
	}
	return nil
}

func validNumber(s string) bool {
	const greatest = "18446744073709551615"
	if s == "" || s[0] == '0' || len(s) > len(greatest) {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) < len(greatest) || s <= greatest
}

func validAttempt(s string) bool {
	if len(s) != attemptLen {
		return false
	}
	for i := range len(s) {
		if base32Value(s[i]) > 31 {
			return false
		}
	}
	return true
}

func checkForeign(s string) error {
	if len(s) != foreignLen || s[17] != '~' || !validAttempt(s[18:]) {
		return errForeign
	}
	for i := 1; i < 17; i++ {
		if lowerDigit(s[i]) > 15 {
			return errForeign
		}
	}
	return nil
}

// Child returns the position of number n below p. n counts from 1.
func (p Position) Child(n uint64) Position {
	var buf [64]byte
	return Position(p.AppendChild(buf[:0], n))
}

// AppendChild appends the text of p.Child(n): how a writer numbers its entries
// without allocating.
func (p Position) AppendChild(dst []byte, n uint64) []byte {
	if p != "" {
		dst = append(append(dst, p...), '.')
	}
	return strconv.AppendUint(dst, n, 10)
}

// Claim returns the position of the task that an import of p with this attempt makes:
// the last number gets the attempt. Where it has one already the new one takes its place,
// which makes a sibling. The outermost position has no number and stays as it is.
func (p Position) Claim(attempt string) Position {
	if p == "" {
		return p
	}
	if last := strings.LastIndexByte(string(p), '.') + 1; last < len(p) {
		if i := strings.IndexByte(string(p[last:]), '~'); i >= 0 {
			p = p[:last+i]
		}
	}
	return p + "~" + Position(attempt)
}

// Split takes the last step off: "2.3~k7f3q" gives "2" and {3 k7f3q}. It reports false
// for the outermost position, which has no step.
func (p Position) Split() (parent Position, last Step, ok bool) {
	if p == "" {
		return "", Step{}, false
	}
	s := string(p)
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		return Position(s[:i]), parseStep(s[i+1:]), true
	}
	return "", parseStep(s), true
}

// Parent returns the position without its last step, "" for the outermost one. The
// parent of an entry's position is that of its task.
func (p Position) Parent() Position {
	return p[:max(strings.LastIndexByte(string(p), '.'), 0)]
}

// Steps returns all steps, none for the outermost position.
func (p Position) Steps() []Step {
	steps := make([]Step, 0, p.Depth())
	for s, more := string(p), p != ""; more; {
		var step string
		step, s, more = strings.Cut(s, ".")
		steps = append(steps, parseStep(step))
	}
	return steps
}

// parseStep reads a step known to follow the grammar.
func parseStep(s string) Step {
	head, attempt, _ := strings.Cut(s, "~")
	if strings.HasPrefix(head, "x") {
		return Step{Foreign: head[1:], Attempt: attempt}
	}
	n, _ := strconv.ParseUint(head, 10, 64)
	return Step{N: n, Attempt: attempt}
}

// Depth returns the number of steps.
func (p Position) Depth() int {
	if p == "" {
		return 0
	}
	return strings.Count(string(p), ".") + 1
}

// Within reports whether p is ancestor or stands below it. An attempt is part of its
// step: "2~k7f3q.1" is within "2~k7f3q" but not within "2".
func (p Position) Within(ancestor Position) bool {
	if ancestor == "" {
		return true
	}
	return strings.HasPrefix(string(p), string(ancestor)) &&
		(len(p) == len(ancestor) || p[len(ancestor)] == '.')
}

// ComparePositions orders positions as things happened: -1, 0 or 1. Numbers compare as
// numbers, a position comes before all that stands below it, and a claim ("2~k7f3q", with
// all below it) after what it claims ("2") and before the next number. Foreign heads come
// after numbers. Two positions are equal only if their texts are.
func ComparePositions(a, b Position) int {
	if a == b {
		return 0
	}
	same := sameSteps(string(a), string(b))
	s, t := string(a[same:]), string(b[same:])
	for s != "" && t != "" {
		var x, y string
		x, s, _ = strings.Cut(s, ".")
		y, t, _ = strings.Cut(t, ".")
		if c := compareSteps(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(s), len(t))
}

// sameSteps returns where the first step begins that may differ: brothers in deep trees, the
// pairs that are compared most, share all steps but the last.
func sameSteps(s, t string) int {
	step := 0
	for i := 0; i < len(s) && i < len(t) && s[i] == t[i]; i++ {
		if s[i] == '.' {
			step = i + 1
		}
	}
	return step
}

// compareSteps uses that numbers have no leading zeros: the longer is the greater.
// A foreign head, 17 bytes of which the first is an x, is told apart before.
func compareSteps(x, y string) int {
	if x == y {
		return 0
	}
	m, a, _ := strings.Cut(x, "~")
	n, b, _ := strings.Cut(y, "~")
	return cmp.Or(
		cmp.Compare(foreignRank(m), foreignRank(n)),
		cmp.Compare(len(m), len(n)),
		strings.Compare(m, n),
		strings.Compare(a, b),
	)
}

func foreignRank(head string) int {
	if strings.HasPrefix(head, "x") {
		return 1
	}
	return 0
}

// SpanID returns the W3C span id of the task at pos: the first 8 bytes of the SHA-256 of
// the trace's 16 bytes and the position's text. Any reader can compute it anew.
func SpanID(t Trace, pos Position) [8]byte {
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], t[:]...), pos...))
	return [8]byte(sum[:8])
}
