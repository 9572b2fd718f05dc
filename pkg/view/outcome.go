package view

import (
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// Mark returns the one character that stands for an outcome; "?" for "", which
// is unknown.
func Mark(o task.Outcome) string {
	switch o {
	case task.Succeeded:
		return "✔"
	case task.Failed:
		return "✖"
	case task.Cancelled:
		return "⊘"
	case task.Panicked:
		return "!"
	case task.Running:
		return "◌"
	case task.Abandoned:
		return "†"
	}
	return "?"
}

func outcomeStyle(o task.Outcome) style {
	switch o {
	case task.Succeeded:
		return green
	case task.Failed, task.Panicked, task.Abandoned:
		return alarm
	case task.Cancelled:
		return yellow
	case task.Running:
		return cyan
	}
	return dim
}

// outcomeWord says what the mark says, and how sure that is.
func outcomeWord(t *tree.Task) string {
	switch {
	case t.Silent:
		return string(t.Outcome) + "?"
	case t.Outcome == "":
		return "unknown"
	}
	return string(t.Outcome)
}

// reasonText says why numbers are absent, the word of the JSON first.
func reasonText(m tree.Missing) string {
	text := string(m.Reason)
	switch m.Reason {
	case tree.Withheld:
		if m.Rule != "" {
			text += " by rule " + m.Rule
		}
	case tree.Elsewhere:
		text += ", not sent to this stream"
	case tree.Died:
		text += " with its process"
	case tree.NoEnd:
		text += ", and no sign of its process"
	}
	return text
}
