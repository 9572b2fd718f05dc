package entry

// Level is how bad an entry is, with zerolog's numbers.
type Level int8

// The levels. None is an absent or unknown level: it is neither below nor above any other.
const (
	Trace Level = iota - 1
	Debug
	Info
	Warn
	Error
	Fatal
	Panic
	None
)

var levelNames = [...]string{"trace", "debug", "info", "warn", "error", "fatal", "panic", "none"}

// Levels lists all levels, None last.
func Levels() []Level { return []Level{Trace, Debug, Info, Warn, Error, Fatal, Panic, None} }

// ParseLevel reads a level in any case: the words of String, and "warning", "err" and
// "critical" (fatal, as in OpenTelemetry's mapping of Python's levels). It returns None and
// false for any other word. It does not allocate.
func ParseLevel(s string) (Level, bool) { return parseLevel(s) }

func parseLevel[T string | []byte](s T) (Level, bool) {
	if len(s) > len("critical") {
		return None, false
	}
	var buf [len("critical")]byte
	for i := range len(s) {
		buf[i] = s[i]
		if 'A' <= s[i] && s[i] <= 'Z' {
			buf[i] += 'a' - 'A'
		}
	}
	switch string(buf[:len(s)]) {
	case "trace":
		return Trace, true
	case "debug":
		return Debug, true
	case "info":
		return Info, true
	case "warn", "warning":
		return Warn, true
	case "error", "err":
		return Error, true
	case "fatal", "critical":
		return Fatal, true
	case "panic":
		return Panic, true
	case "none":
		return None, true
	}
	return None, false
}

// String returns the lower-case word: "trace" to "panic", "none".
func (l Level) String() string {
	if l < Trace || l > None {
		return "none"
	}
	return levelNames[l-Trace]
}

// Token returns the token of a subject: what String returns.
func (l Level) Token() string { return l.String() }

// Compare compares two levels and reports false where one of them is None, which fulfils
// no comparison.
func (l Level) Compare(with Level) (int, bool) {
	if l == None || with == None {
		return 0, false
	}
	return int(l) - int(with), true
}
