package agent

import (
	"bytes"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A header is what stands before the message in a line of text.
type header struct {
	grade   grade
	word    []byte // the level as it was written, where it says more than the grade
	at      time.Time
	timed   bool
	logger  []byte
	caller  []byte // file:line
	pid     []byte
	groups  []byte // what stands between time and level, and belongs to the message
	message []byte
	klog    bool
}

// known reports whether the line has any header.
func (h *header) known() bool { return h.timed || h.grade.level != entry.None }

// read reads the header of a line. Its slices are parts of the line.
func (c *calendar) read(line []byte) header {
	if h, ok := c.klog(line); ok {
		return h
	}
	h := header{grade: noGrade, message: line}
	rest := h.priority(line)
	rest = c.clockOf(&h, rest)
	rest = h.levelOf(rest)
	if !h.known() {
		return header{grade: noGrade, message: line}
	}
	if h.timed {
		rest = h.callerOf(rest)
	}
	h.message = rest
	return h
}

// priority reads what systemd and syslog put before a line: <6>, or <14>1 with a time behind it.
func (h *header) priority(line []byte) []byte {
	if len(line) < 3 || line[0] != '<' {
		return line
	}
	end := bytes.IndexByte(line[:min(len(line), 5)], '>')
	if end < 2 {
		return line
	}
	n, ok := integer(line[1:end])
	if !ok || n > 191 || !isDigit(line[1]) { // 23 facilities, RFC 5424
		return line
	}
	h.grade, _ = gradeSyslog(n & 7)
	rest := line[end+1:]
	if after, ok := bytes.CutPrefix(rest, []byte("1 ")); ok && len(after) > 0 && isDigit(after[0]) {
		return after
	}
	return rest
}

// clockOf reads the time, in brackets or not, and with a process number in brackets before it or not.
func (c *calendar) clockOf(h *header, text []byte) []byte {
	rest, pid := text, []byte(nil)
	if len(rest) > 3 && rest[0] == '[' && isDigit(rest[1]) {
		if end := bytes.IndexByte(rest[:min(len(rest), 12)], ']'); end > 1 && allDigits(rest[1:end]) && end+2 < len(rest) && rest[end+1] == ' ' {
			pid, rest = rest[1:end], rest[end+2:]
		}
	}
	opened := len(rest) > 0 && (rest[0] == '[' || rest[0] == '(')
	if opened {
		rest = rest[1:]
	}
	t, n, ok := c.leading(rest)
	if !ok {
		return text
	}
	rest = rest[n:]
	if opened && len(rest) > 0 && (rest[0] == ']' || rest[0] == ')') {
		rest, opened = rest[1:], false
	}
	h.at, h.timed, h.pid = t, true, pid
	if opened { // env_logger of Rust: [time LEVEL target] message
		if inside, after, ok := bytes.Cut(rest, []byte("]")); ok {
			if word, target, _ := bytes.Cut(bytes.TrimSpace(inside), []byte(" ")); h.take(word) {
				h.logger = bytes.TrimSpace(target)
				return trimSeparators(after)
			}
		}
	}
	return rest
}

// take makes a word the level, if it is one.
func (h *header) take(word []byte) bool {
	g, ok := gradeOf(word)
	if !ok {
		return false
	}
	h.setGrade(g, word)
	return true
}

func (h *header) setGrade(g grade, word []byte) {
	h.grade = g
	if !g.exact {
		h.word = word
	}
}

// levelOf reads the level: right here, or behind groups in brackets, or behind the logger's name in the form " - name - LEVEL - ".
func (h *header) levelOf(text []byte) []byte {
	rest := trimSeparators(text)
	if h.grade.level != entry.None { // of the priority
		if h.timed {
			return rest
		}
		return text
	}
	if after, ok := h.word1(rest); ok {
		return after
	}
	if !h.timed {
		return text
	}
	if after, ok := h.dashes(text); ok {
		return after
	}
	if after, ok := h.behindGroups(rest); ok {
		return after
	}
	return rest
}

// word1 reads a level at the beginning of text.
func (h *header) word1(text []byte) ([]byte, bool) {
	if len(text) == 0 {
		return nil, false
	}
	if closing := closingOf(text[0]); closing != 0 && (closing == ']' || h.timed) {
		return h.bracketed(text, closing)
	}
	n := wordLen(text)
	if n < 2 {
		return nil, false
	}
	word := text[:n]
	g, ok := gradeOf(word)
	if !ok || isDigit(word[0]) {
		return nil, false
	}
	rest := text[n:]
	if !h.separated(word, rest, g) {
		return nil, false
	}
	h.setGrade(g, word)
	if !h.timed && !upper(word) { // "error: …" is how a sentence of the program begins
		return text, true
	}
	return h.behindLevel(rest), true
}

// separated reports whether what stands behind a word shows that it is a level and not the first word of a sentence.
func (h *header) separated(word, rest []byte, g grade) bool {
	loud := upper(word)
	switch {
	case len(rest) == 0:
		return loud && g.exact
	case rest[0] == ':':
		return loud || len(rest) > 1 && (rest[1] == ' ' || rest[1] == '\t')
	case rest[0] == '[':
		return loud && len(rest) > 2 && isDigit(rest[1])
	case rest[0] == '\t':
		return loud || h.timed
	case rest[0] == ' ':
		return loud && (g.exact || h.timed) || h.timed && len(rest) > 1 && (rest[1] == ' ' || rest[1] == '|')
	case rest[0] == '|':
		return h.timed
	}
	return false
}

// behindLevel skips what separates the level from the message, and reads the logger of Python's LEVEL:logger:message.
func (h *header) behindLevel(rest []byte) []byte {
	if len(rest) > 0 && rest[0] == '[' { // logrus on a terminal: seconds since its start
		if end := bytes.IndexByte(rest[:min(len(rest), 12)], ']'); end > 0 && allDigits(rest[1:end]) {
			return trimSeparators(rest[end+1:])
		}
	}
	if !h.timed && len(rest) > 1 && rest[0] == ':' && rest[1] > ' ' && rest[1] != ':' {
		name, message, ok := bytes.Cut(rest[1:], []byte(":"))
		if ok && len(name) <= 128 && !bytes.ContainsAny(name, " \t/") {
			h.logger = name
			return message
		}
	}
	return trimSeparators(rest)
}

// bracketed reads [INFO], [error], <warn> and the like.
func (h *header) bracketed(text []byte, closing byte) ([]byte, bool) {
	end := bytes.IndexByte(text[:min(len(text), longestLevel)], closing)
	if end < 2 {
		return nil, false
	}
	word := bytes.TrimSpace(text[1:end])
	if len(word) == 0 || isDigit(word[0]) {
		return nil, false
	}
	if g, ok := gradeLetter(word); ok {
		h.grade = g
	} else if g, ok = gradeOf(word); ok && (g.exact || h.timed) { // [config] alone is a part of the program
		h.setGrade(g, word)
	} else {
		return nil, false
	}
	return trimSeparators(text[end+1:]), true
}

// dashes reads " - name - LEVEL - message", a usual format of Python's logging.
func (h *header) dashes(text []byte) ([]byte, bool) {
	dash := []byte(" - ")
	rest, ok := bytes.CutPrefix(text, dash)
	if !ok {
		return nil, false
	}
	name, rest, ok := bytes.Cut(rest, dash)
	if !ok || len(name) > 128 || bytes.IndexByte(name, ' ') >= 0 {
		return nil, false
	}
	word, rest, ok := bytes.Cut(rest, dash)
	if !ok || !h.take(bytes.TrimSpace(word)) {
		return nil, false
	}
	h.logger = name
	return rest, true
}

// behindGroups reads the level behind one or two groups in brackets, such as a thread, which stay in the message.
func (h *header) behindGroups(text []byte) ([]byte, bool) {
	rest := text
	for range 2 {
		if len(rest) == 0 || rest[0] != '[' {
			return nil, false
		}
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			return nil, false
		}
		groups := text[:len(text)-len(rest)+end+1]
		rest = bytes.TrimLeft(rest[end+1:], " \t:-|")
		if after, ok := h.word1(rest); ok {
			h.groups = groups
			return after, true
		}
	}
	return nil, false
}

// callerOf reads file.go:12 where a message begins with it.
func (h *header) callerOf(text []byte) []byte {
	end := bytes.IndexAny(text, " \t")
	if end < 4 || end > 256 {
		return text
	}
	token := text[:end]
	if text[end] == ' ' && token[end-1] != ':' {
		return text
	}
	token = bytes.TrimSuffix(token, []byte(":"))
	colon := bytes.LastIndexByte(token, ':')
	if colon < 1 || colon == len(token)-1 || !allDigits(token[colon+1:]) || bytes.IndexByte(token[:colon], '.') < 1 || bytes.IndexByte(token[:colon], ':') >= 0 {
		return text
	}
	if dot := bytes.LastIndexByte(token[:colon], '.'); colon-dot > 5 || isDigit(token[dot+1]) { // an address, not a file
		return text
	}
	h.caller = token
	return bytes.TrimLeft(text[end:], " \t")
}

// klog reads "I1122 19:25:35.108883   26511 main.go:23] message", which klog and glog write.
func (c *calendar) klog(line []byte) (header, bool) {
	if len(line) < len("I1122 19:25:35.108883 1 a:1] ") || line[5] != ' ' {
		return header{}, false
	}
	g, ok := gradeKlog(line[0])
	month, mok := digits(line, 1, 2)
	day, dok := digits(line, 3, 2)
	if !ok || !mok || !dok {
		return header{}, false
	}
	d := moment{month: month, day: day}
	n := d.clock(line[6:])
	t, tok := c.recent(d)
	end := bytes.Index(line[6+n:min(len(line), 512)], []byte("] "))
	if n == 0 || !tok || end < 0 {
		return header{}, false
	}
	pid, caller, ok := bytes.Cut(bytes.TrimLeft(line[6+n:6+n+end], " "), []byte(" "))
	if !ok || len(pid) == 0 || !allDigits(pid) || bytes.IndexByte(caller, ' ') >= 0 {
		return header{}, false
	}
	return header{grade: g, at: t, timed: true, pid: pid, caller: caller, message: line[6+n+end+2:], klog: true}, true
}

func gradeKlog(c byte) (grade, bool) {
	switch c {
	case 'I':
		return grade{entry.Info, true}, true
	case 'W':
		return grade{entry.Warn, true}, true
	case 'E':
		return grade{entry.Error, true}, true
	case 'F':
		return grade{entry.Fatal, true}, true
	}
	return noGrade, false
}

// gradeLetter reads the single letters that stand in brackets.
func gradeLetter(word []byte) (grade, bool) {
	if len(word) != 1 {
		return noGrade, false
	}
	switch word[0] {
	case 'T':
		return grade{entry.Trace, true}, true
	case 'D':
		return grade{entry.Debug, true}, true
	}
	return gradeKlog(word[0])
}

func closingOf(c byte) byte {
	switch c {
	case '[':
		return ']'
	case '<':
		return '>'
	case '(':
		return ')'
	}
	return 0
}

// wordLen is the length of the letters that text begins with, and of the "+2" that slog adds.
func wordLen(text []byte) int {
	n := 0
	for n < len(text) && n < longestLevel && isLetter(text[n]) {
		n++
	}
	if m := n + 1; n > 0 && m < len(text) && (text[n] == '+' || text[n] == '-') && isDigit(text[m]) {
		for m < len(text) && m < longestLevel && isDigit(text[m]) {
			m++
		}
		return m
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func upper(word []byte) bool {
	for _, c := range word {
		if 'a' <= c && c <= 'z' {
			return false
		}
	}
	return true
}

// trimSeparators removes what stands between time, level and message.
func trimSeparators(text []byte) []byte {
	for len(text) > 0 {
		switch c := text[0]; {
		case c == ' ', c == '\t', c == '|', c == ':', c == ',', c == ';':
			text = text[1:]
		case (c == '-') && len(text) > 1 && text[1] == ' ':
			text = text[2:]
		default:
			return text
		}
	}
	return text
}
