package agent

import (
	"bytes"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A grade is a level as a program wrote it. exact means that dlog's word says all that the program's says.
type grade struct {
	level entry.Level
	exact bool
}

var noGrade = grade{level: entry.None}

// longestLevel bounds the words that are looked at: "informational", and room for colours.
const longestLevel = 48

// gradeOf reads a level: a word in any case, with or without terminal colours, slog's "INFO+2", zap's "LEVEL(-3)", logging's "Level 25", or
// a number of pino and bunyan as text.
func gradeOf(word []byte) (grade, bool) {
	if len(word) > longestLevel {
		return noGrade, false
	}
	var plain, lower [longestLevel]byte
	w := bytes.TrimSpace(stripColour(plain[:0], word))
	if len(w) == 0 {
		return noGrade, false
	}
	low := lower[:len(w)]
	for i, c := range w {
		if low[i] = c; 'A' <= c && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	if g, ok := gradeWord(low); ok {
		return g, true
	}
	return gradeForm(low)
}

// gradeWord knows the words of zerolog, slog, zap, logrus, npm, syslog, Python, java.util.logging, .NET, loguru and PostgreSQL.
func gradeWord(low []byte) (grade, bool) {
	switch string(low) {
	case "trace", "trc", "trac":
		return grade{entry.Trace, true}, true
	case "finest", "finer", "silly":
		return grade{entry.Trace, false}, true
	case "debug", "dbg", "debu", "dbug":
		return grade{entry.Debug, true}, true
	case "verbose", "fine", "config", "http":
		return grade{entry.Debug, false}, true
	case "info", "inf", "information", "informational":
		return grade{entry.Info, true}, true
	case "notice", "log", "success":
		return grade{entry.Info, false}, true
	case "warn", "warning", "wrn":
		return grade{entry.Warn, true}, true
	case "error", "err", "erro", "eror":
		return grade{entry.Error, true}, true
	case "severe":
		return grade{entry.Error, false}, true
	case "fatal", "ftl", "fata", "critical", "crit", "crt":
		return grade{entry.Fatal, true}, true
	case "alert", "emerg", "emergency":
		return grade{entry.Fatal, false}, true
	case "panic", "pnc", "pani":
		return grade{entry.Panic, true}, true
	case "dpanic":
		return grade{entry.Panic, false}, true
	}
	return noGrade, false
}

// gradeForm reads the forms with numbers in them.
func gradeForm(low []byte) (grade, bool) {
	if n, ok := integer(low); ok {
		return gradePino(n)
	}
	if rest, ok := bytes.CutPrefix(low, []byte("level(")); ok { // zap and zapr below debug
		n, ok := integer(bytes.TrimSuffix(rest, []byte(")")))
		if !ok || n >= 0 {
			return noGrade, false
		}
		return grade{entry.Trace, false}, true
	}
	if rest, ok := bytes.CutPrefix(low, []byte("level ")); ok {
		if n, ok := integer(rest); ok && n >= 0 {
			return gradePython(n)
		}
		return noGrade, false
	}
	i := bytes.IndexAny(low, "+-")
	if i < 0 {
		return noGrade, false
	}
	n, ok := integer(low[i:])
	if !ok {
		return noGrade, false
	}
	return gradeSlog(low[:i], n)
}

// gradeSlog reads what slog writes for levels between its four, which are 4 apart.
func gradeSlog(word []byte, n int) (grade, bool) {
	switch string(word) {
	case "debug":
		n -= 4
	case "info":
	case "warn":
		n += 4
	case "error":
		n += 8
	default:
		return noGrade, false
	}
	l := entry.Fatal
	switch {
	case n < -4:
		l = entry.Trace
	case n < 0:
		l = entry.Debug
	case n < 4:
		l = entry.Info
	case n < 8:
		l = entry.Warn
	case n < 12:
		l = entry.Error
	}
	return grade{l, false}, true
}

// gradePino reads the numbers of pino and bunyan: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal, and others between them.
func gradePino(n int) (grade, bool) {
	if n < 10 || n >= 70 {
		return noGrade, false
	}
	return grade{entry.Level(n/10 - 2), n%10 == 0}, true
}

// gradePython reads the numbers of Python's logging: 10 debug to 50 critical.
func gradePython(n int) (grade, bool) {
	if n <= 0 || n >= 100 {
		return noGrade, false
	}
	return grade{entry.Level(min(n/10, 5) - 1), n%10 == 0 && n <= 50}, true
}

// gradeSyslog reads the severities of RFC 5424, 0 to 7, which journald and GELF use too.
func gradeSyslog(n int) (grade, bool) {
	if n < 0 || n > 7 {
		return noGrade, false
	}
	l := [...]entry.Level{entry.Fatal, entry.Fatal, entry.Fatal, entry.Error, entry.Warn, entry.Info, entry.Info, entry.Debug}[n]
	return grade{l, n != 0 && n != 1 && n != 5}, true
}

// integer reads a whole number of at most 9 digits.
func integer(b []byte) (int, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// stripColour appends the text without the sequences that set colours: ESC [ … m.
func stripColour(dst, text []byte) []byte {
	for len(text) > 0 {
		i := bytes.IndexByte(text, 0x1b)
		if i < 0 {
			break
		}
		dst = append(dst, text[:i]...)
		text = text[i:]
		if n := colourLen(text); n > 0 {
			text = text[n:]
			continue
		}
		dst, text = append(dst, text[0]), text[1:]
	}
	return append(dst, text...)
}

// colourLen is the length of the colour sequence that text begins with, 0 if there is none.
func colourLen(text []byte) int {
	if len(text) < 3 || text[0] != 0x1b || text[1] != '[' {
		return 0
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case c != ';' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}
