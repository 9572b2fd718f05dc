package cli

import (
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// levelNames and timeNames are where other loggers keep what zerolog calls level and time: GCP and syslog, Python, logrus, zap, pino.
var (
	levelNames = []string{"level", "severity", "levelname", "log_level", "lvl"}
	timeNames  = []string{"ts", "timestamp", "@timestamp", "asctime", "eventTime"}
)

// readForeign completes an entry of another logger's file with its level and time, so that a tree which is guessed from such lines
// does not call a failure a success. What dlog-agent does with lines goes further: it knows text and logfmt, too.
func readForeign(e *entry.Entry) {
	for i := 0; e.Level == entry.None && i < len(levelNames); i++ {
		if v, ok := e.Field(levelNames[i]); ok {
			e.Level = foreignLevel(v)
		}
	}
	for i := 0; e.Time.IsZero() && i < len(timeNames); i++ {
		if v, ok := e.Field(timeNames[i]); ok {
			e.Time, _ = v.Time()
		}
	}
}

// foreignLevel reads a word, or a number of pino's and bunyan's scale (10 trace to 60 fatal).
func foreignLevel(v entry.Value) entry.Level {
	if n, ok := v.Number(); ok {
		steps := []entry.Level{entry.Trace, entry.Debug, entry.Info, entry.Warn, entry.Error, entry.Fatal}
		if i := int(n/10) - 1; n >= 10 && i < len(steps) {
			return steps[i]
		}
		return entry.None
	}
	level, ok := entry.ParseLevel(string(v.Text(nil)))
	if !ok {
		return entry.None
	}
	return level
}
