package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

// The shapes of dlog-sink's JSON that the shop compares, written down here once more so that a change of dlog's output shows.
type (
	taskLine struct {
		Trace   string  `json:"trace"`
		Path    string  `json:"path"`
		Service string  `json:"service"`
		Outcome string  `json:"outcome"`
		Cause   *string `json:"cause"`
		Missing *int    `json:"missing"`
		Entries *int    `json:"entries"`
		Errors  *int    `json:"errors"`
	}
	treeNode struct {
		Trace    string            `json:"trace"`
		Path     string            `json:"path"`
		Service  string            `json:"service"`
		Outcome  string            `json:"outcome"`
		Entries  []json.RawMessage `json:"entries"`
		Children []treeNode        `json:"children"`
		Missing  []json.RawMessage `json:"missing"`
	}
	rawEntry struct {
		Level   string `json:"level"`
		Message string `json:"message"`
		Order   string `json:"order"`
		Dlog    struct {
			Service string `json:"svc"`
			Trace   string `json:"trace"`
			Event   string `json:"event"`
		} `json:"dlog"`
	}
)

// verify asks dlog about every order and compares its answers with the shop's own book.
func verify(ctx context.Context, o options, out io.Writer) error {
	orders, err := readOrders(o.ledger + ".orders")
	if err != nil {
		return err
	}
	said, err := readLedger(o.ledger)
	if err != nil {
		return err
	}
	v := &verifier{ctx: ctx, sink: o.sink, nats: o.nats, out: out}
	traces, err := v.traces()
	if err != nil {
		return err
	}
	tasks, err := v.tasks()
	if err != nil {
		return err
	}
	for _, or := range orders {
		v.order(or, traces[or.ID], tasks, said)
	}
	if len(tasks) != len(orders) {
		v.differ("%d orders were placed, dlog tells of %d", len(orders), len(tasks))
	}
	if err := v.failed(orders, traces); err != nil {
		return err
	}
	if err := v.loose(said); err != nil {
		return err
	}
	if v.differences > 0 {
		return fmt.Errorf("%d differences between dlog and the shop's own book", v.differences)
	}
	fmt.Fprintf(out, "%d orders, %d lines in the shop's own book: dlog's answers agree with all of them\n", len(orders), len(said))
	return nil
}

type verifier struct {
	ctx         context.Context
	sink, nats  string
	out         io.Writer
	differences int
}

func (v *verifier) differ(format string, args ...any) {
	v.differences++
	fmt.Fprintf(v.out, "differs: "+format+"\n", args...)
}

// ask runs dlog-sink and hands each line of its JSON output to fn.
func (v *verifier) ask(fn func([]byte) error, args ...string) error {
	args = append(args, "--nats", v.nats, "--format", "json")
	cmd := exec.CommandContext(v.ctx, v.sink, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("dlog-sink %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	sc := bufio.NewScanner(&stdout)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		if err := fn(sc.Bytes()); err != nil {
			return fmt.Errorf("dlog-sink %s: %w", args[0], err)
		}
	}
	return nil
}

// traces finds the trace of each order by the field that the gateway gave its task.
func (v *verifier) traces() (map[string]string, error) {
	byOrder := map[string]string{}
	err := v.ask(func(b []byte) error {
		var e rawEntry
		if err := json.Unmarshal(b, &e); err != nil {
			return err
		}
		byOrder[e.Order] = e.Dlog.Trace
		return nil
	}, "find", "--since", "1h", "--where", "dlog.path=place-order", "--where", "dlog.event=start")
	return byOrder, err
}

func (v *verifier) tasks() (map[string]taskLine, error) {
	byTrace := map[string]taskLine{}
	err := v.ask(func(b []byte) error {
		var t taskLine
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		byTrace[t.Trace] = t
		return nil
	}, "tasks", "--since", "1h", "--where", "path=place-order")
	return byTrace, err
}

// order compares one order: outcome, cause, every line of every service, nothing missing.
func (v *verifier) order(o order, trace string, tasks map[string]taskLine, said []line) {
	t, ok := tasks[trace]
	if !ok {
		v.differ("order %s (%s): dlog has no task for it", o.ID, o.Fate)
		return
	}
	if t.Outcome != o.Outcome {
		v.differ("order %s (%s): outcome %q, must be %q", o.ID, o.Fate, t.Outcome, o.Outcome)
	}
	if o.Cause != "" && (t.Cause == nil || !strings.Contains(*t.Cause, o.Cause)) {
		v.differ("order %s (%s): cause %v, must contain %q", o.ID, o.Fate, deref(t.Cause), o.Cause)
	}
	if t.Missing == nil || *t.Missing != 0 {
		v.differ("order %s (%s): entries are missing, or nobody knows", o.ID, o.Fate)
	}
	v.tree(o, trace, t, said)
}

func (v *verifier) tree(o order, trace string, t taskLine, said []line) {
	var root treeNode
	roots := 0
	err := v.ask(func(b []byte) error {
		roots++
		return json.Unmarshal(b, &root)
	}, "tree", trace)
	if err != nil || roots != 1 {
		v.differ("order %s: tree %s: %d trees, %v", o.ID, trace, roots, err)
		return
	}
	var got, want []string
	var entries, errs int
	walk(root, func(n treeNode) {
		for _, raw := range n.Entries {
			var e rawEntry
			if err := json.Unmarshal(raw, &e); err != nil {
				v.differ("order %s: entry %s: %v", o.ID, raw, err)
				continue
			}
			entries++
			if e.Level == "error" || e.Level == "fatal" || e.Level == "panic" {
				errs++
			}
			if e.Dlog.Event == "" {
				got = append(got, e.Dlog.Service+" "+e.Level+" "+e.Message)
			}
		}
	})
	for _, l := range said {
		if l.Order == o.ID {
			want = append(want, l.Service+" "+l.Level+" "+l.Message)
		}
	}
	v.compare("order "+o.ID, got, want)
	if t.Entries == nil || *t.Entries != entries || t.Errors == nil || *t.Errors != errs {
		v.differ("order %s: tasks counts other entries or errors than its tree has (%d, %d)", o.ID, entries, errs)
	}
	if o.Cause != "" {
		if where := deepestFailed(root).Service; where != o.Where {
			v.differ("order %s (%s): deepest failure in %q, must be in %q", o.ID, o.Fate, where, o.Where)
		}
	}
}

// failed compares the list of failed orders, the question that people ask first.
func (v *verifier) failed(orders []order, traces map[string]string) error {
	var got, want []string
	err := v.ask(func(b []byte) error {
		var t taskLine
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		got = append(got, t.Trace)
		return nil
	}, "tasks", "--since", "1h", "--outcome", "failed", "--where", "path=place-order")
	for _, o := range orders {
		if o.Outcome == "failed" {
			want = append(want, traces[o.ID])
		}
	}
	v.compare("failed orders", got, want)
	return err
}

// loose compares what was said outside of any order, by the library that knows only the standard log.
func (v *verifier) loose(said []line) error {
	var got, want []string
	err := v.ask(func(b []byte) error {
		var e rawEntry
		if err := json.Unmarshal(b, &e); err != nil {
			return err
		}
		got = append(got, e.Dlog.Service+" "+e.Level+" "+e.Message)
		return nil
	}, "find", "--since", "1h", "--where", "dlog.trace=", "--where", "dlog.event=")
	for _, l := range said {
		if l.Order == "" {
			want = append(want, l.Service+" "+l.Level+" "+l.Message)
		}
	}
	v.compare("outside of any task", got, want)
	return err
}

// compare wants the same lines the same number of times, in any order.
func (v *verifier) compare(what string, got, want []string) {
	sort.Strings(got)
	sort.Strings(want)
	count := map[string]int{}
	for _, s := range want {
		count[s]++
	}
	for _, s := range got {
		count[s]--
	}
	for s, n := range count {
		switch {
		case n > 0:
			v.differ("%s: dlog lacks %d × %q", what, n, s)
		case n < 0:
			v.differ("%s: dlog has %d × %q too many", what, -n, s)
		}
	}
}

func walk(n treeNode, visit func(treeNode)) {
	visit(n)
	for _, c := range n.Children {
		walk(c, visit)
	}
}

// deepestFailed returns the deepest task that failed or panicked: the cause as dlog means it.
func deepestFailed(root treeNode) treeNode {
	var deepest treeNode
	most := -1
	var descend func(n treeNode, depth int)
	descend = func(n treeNode, depth int) {
		if (n.Outcome == "failed" || n.Outcome == "panicked") && depth > most {
			deepest, most = n, depth
		}
		for _, c := range n.Children {
			descend(c, depth+1)
		}
	}
	descend(root, 0)
	return deepest
}

func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func readOrders(path string) ([]order, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	var orders []order
	if err := json.Unmarshal(b, &orders); err != nil {
		return nil, errors.Join(fmt.Errorf("read orders %s", path), err)
	}
	return orders, nil
}
