package router

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

// withheld is a run of entries of a task that a rule dropped.
type withheld struct {
	rule        int
	task        ledger.TaskKey
	first, last uint64
}

// maxWithheld bounds the runs of one message, so that its record fits into a message of the ledger. The counts stay exact.
const maxWithheld = 30_000

// withholder gathers the identities of dropped entries of one message.
type withholder struct {
	all   []withheld
	slots [2]entry.Value
	text  [128]byte
}

// placeKeys say where an entry stands.
var placeKeys = entry.CompileKeys([]string{"trace", "pos"})

// metaMark begins dlog's key, which is last on a line. In a text its quotes would be escaped.
var metaMark = []byte(`"dlog":`)

// add notes a dropped line. One that stands in no task is no gap in any tree.
func (w *withholder) add(rule int, line []byte) {
	i := bytes.LastIndex(line, metaMark)
	if i < 0 || len(w.all) >= maxWithheld {
		return
	}
	object := bytes.TrimRight(line[i+len(metaMark):], " \t\r\n")
	if len(object) == 0 || object[len(object)-1] != '}' {
		return
	}
	if placeKeys.Scan(object[:len(object)-1], w.slots[:]) != nil {
		return // something other than dlog wrote behind it, or it is no object
	}
	task, n, ok := w.place()
	if !ok {
		return
	}
	if last := len(w.all) - 1; last >= 0 && w.all[last].rule == rule && w.all[last].task == task && w.all[last].last+1 == n {
		w.all[last].last = n
		return
	}
	w.all = append(w.all, withheld{rule, task, n, n})
}

// place reads the task and the number of the entry last scanned.
func (w *withholder) place() (ledger.TaskKey, uint64, bool) {
	trace, pos := w.slots[0], w.slots[1]
	if trace.Kind != entry.String || pos.Kind != entry.String {
		return 0, 0, false
	}
	at := pos.Text(w.text[:0])
	dot := bytes.LastIndexByte(at, '.')
	n, err := strconv.ParseUint(string(at[dot+1:]), 10, 64)
	if err != nil || len(trace.Raw) < 2 {
		return 0, 0, false
	}
	return ledger.KeyOfText(trace.Raw[1:len(trace.Raw)-1], at[:max(dot, 0)]), n, true
}

// take returns what was gathered, in order, and begins anew.
func (w *withholder) take() []withheld {
	if len(w.all) == 0 {
		return nil
	}
	slices.SortFunc(w.all, func(a, b withheld) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.task, b.task), cmp.Compare(a.first, b.first))
	})
	joined := w.all[:1]
	for _, next := range w.all[1:] {
		last := &joined[len(joined)-1]
		if last.rule == next.rule && last.task == next.task && next.first <= last.last+1 {
			last.last = max(last.last, next.last) // an entry may be there twice
			continue
		}
		joined = append(joined, next)
	}
	all := slices.Clone(joined)
	w.all = w.all[:0]
	return all
}
