package task

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Eliot's levels are plain numbers, so what dlog adds to a number becomes a level of its
// own, far above any count of entries. Both ranges stay below 2^53, which every JSON reader
// holds exactly.
const (
	eliotAttempt = 1 << 32 // + 25 bits: the attempt of the number before
	eliotForeign = 1 << 33 // + 32 bits, twice: the two halves of a foreign span, first of all
)

var (
	errEliotForm  = errors.New("must be UUID@/NUMBER/NUMBER…")
	errEliotLevel = errors.New("a level must be 1 or more")
)

// ParseEliotID reads a task id of Eliot, "UUID@/2/3", with or without dashes in the UUID
// and with hex digits of either case, as Python's uuid module prints and takes them.
func ParseEliotID(s string) (Trace, Position, error) {
	trace, pos, err := parseEliotID(s)
	if err != nil {
		return Trace{}, "", fmt.Errorf("parse Eliot id %s: %w", quote(s), err)
	}
	return trace, pos, nil
}

func parseEliotID(s string) (Trace, Position, error) {
	if len(s) > MaxPosition {
		return Trace{}, "", errTooLong
	}
	id, level, ok := strings.Cut(s, "@/")
	if !ok {
		return Trace{}, "", errEliotForm
	}
	trace, err := ParseUUID(id)
	if err != nil {
		return Trace{}, "", err
	}
	var levels []uint64
	for more := level != ""; more; {
		var number string
		number, level, more = strings.Cut(level, "/")
		if !validNumber(number) {
			return Trace{}, "", errNumber
		}
		n, _ := strconv.ParseUint(number, 10, 64)
		levels = append(levels, n)
	}
	pos, err := PositionFromEliot(levels)
	return trace, pos, err
}

// ParseUUID reads a UUID as Eliot's task_uuid holds it: 32 hex digits of either case,
// plain or as 8-4-4-4-12.
func ParseUUID(s string) (Trace, error) {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		s = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	if len(s) != 32 {
		return Trace{}, fmt.Errorf("parse UUID %s: %w", quote(s), errLength)
	}
	return ParseTrace(strings.ToLower(s))
}

// EliotID returns the task id of Eliot for a position: what Eliot's continue_task takes.
func EliotID(t Trace, p Position) string {
	h := t.String()
	dst := make([]byte, 0, 36+2+len(p)+16)
	dst = append(dst, h[:8]+"-"+h[8:12]+"-"+h[12:16]+"-"+h[16:20]+"-"+h[20:]+"@"...)
	for _, level := range p.Eliot() {
		dst = strconv.AppendUint(append(dst, '/'), level, 10)
	}
	if p == "" {
		dst = append(dst, '/')
	}
	return string(dst)
}

// Eliot returns the position as a task_level of Eliot. An attempt becomes a level of its
// own, 2^32 + its 25 bits; a foreign span becomes two, 2^33 + each half, before its
// attempt. PositionFromEliot turns it back, as long as no number is 2^32 or more.
func (p Position) Eliot() []uint64 {
	levels := make([]uint64, 0, p.Depth()+1)
	for _, step := range p.Steps() {
		if step.Foreign == "" {
			levels = append(levels, step.N)
		} else if span, err := strconv.ParseUint(step.Foreign, 16, 64); err == nil {
			levels = append(levels, eliotForeign+span>>32, eliotForeign+span&0xffffffff)
		}
		if step.Attempt != "" {
			levels = append(levels, eliotAttempt+attemptValue(step.Attempt))
		}
	}
	return levels
}

// PositionFromEliot is the inverse of Position.Eliot. A level that looks like an attempt but
// follows no number is a number.
func PositionFromEliot(levels []uint64) (Position, error) {
	if len(levels) > MaxPosition/2 {
		return "", fmt.Errorf("read Eliot level: %w", errTooLong)
	}
	dst, levels := appendEliotForeign(make([]byte, 0, 32), levels)
	claimable := false
	for _, level := range levels {
		switch {
		case level == 0:
			return "", fmt.Errorf("read Eliot level: %w", errEliotLevel)
		case claimable && isEliotAttempt(level):
			dst = append(append(dst, '~'), formatAttempt(level-eliotAttempt)...)
			claimable = false
		default:
			if len(dst) > 0 {
				dst = append(dst, '.')
			}
			dst = strconv.AppendUint(dst, level, 10)
			claimable = true
		}
	}
	if len(dst) > MaxPosition {
		return "", fmt.Errorf("read Eliot level: %w", errTooLong)
	}
	return Position(dst), nil
}

// appendEliotForeign appends the foreign head that the first three levels make, if they do.
func appendEliotForeign(dst []byte, levels []uint64) ([]byte, []uint64) {
	if len(levels) < 3 || !isEliotForeign(levels[0]) || !isEliotForeign(levels[1]) || !isEliotAttempt(levels[2]) {
		return dst, levels
	}
	span := (levels[0]-eliotForeign)<<32 | (levels[1] - eliotForeign)
	dst = append(dst, 'x')
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, lowerHex[span>>shift&15])
	}
	dst = append(append(dst, '~'), formatAttempt(levels[2]-eliotAttempt)...)
	return dst, levels[3:]
}

func isEliotAttempt(level uint64) bool {
	return level >= eliotAttempt && level < eliotAttempt+1<<attemptBits
}

func isEliotForeign(level uint64) bool {
	return level >= eliotForeign && level < eliotForeign+1<<32
}
