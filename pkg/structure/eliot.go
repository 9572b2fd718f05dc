package structure

import (
	"errors"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// errNoNumber refuses a task id of Eliot's that hands over nothing: serialize_task_id always takes a number.
var errNoNumber = errors.New("read Eliot id: it names a whole task and no place in it")

// ExportEliot is Export for a program that logs with the Python library Eliot: it returns the task id that Action.continue_task takes
// there. Eliot's ids are for one use: a second continuation of the same id would stand at the same place, so a message that may be
// delivered twice needs a hand-over each. The other way round, Import takes what serialize_task_id returns.
func (t *Task) ExportEliot(name string) string {
	tok, ok := t.export(name)
	if !ok {
		return ""
	}
	return task.EliotID(tok.Trace, tok.Pos)
}

// isEliotID tells Eliot's task ids from tokens and traceparents, which have no "@".
func isEliotID(token string) bool { return strings.Contains(token, "@/") }

// parseToken reads dlog's token or Eliot's task id, which has no path.
func parseToken(token string) (task.Token, error) {
	if !isEliotID(token) {
		return task.ParseToken(token)
	}
	trace, pos, err := task.ParseEliotID(token)
	if err == nil && pos == "" {
		err = errNoNumber
	}
	return task.Token{Trace: trace, Pos: pos}, err
}
