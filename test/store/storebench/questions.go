package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/dlog-fabric/dlog/pkg/view"
)

func pickTasks(tasks []store.TaskSummary, n int) (random, largest, longest []task.Trace) {
	rng := rand.New(rand.NewPCG(1, 2))
	top := func(by func(a, b store.TaskSummary) int) (out []task.Trace) {
		slices.SortFunc(tasks, by)
		for _, t := range tasks[:min(10, len(tasks))] {
			out = append(out, t.Trace)
		}
		return out
	}
	for range min(n, len(tasks)) {
		random = append(random, tasks[rng.IntN(len(tasks))].Trace)
	}
	largest = top(func(a, b store.TaskSummary) int { return cmp.Compare(b.Entries, a.Entries) })
	longest = top(func(a, b store.TaskSummary) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	return random, largest, longest
}

// times are sorted durations.
type times []time.Duration

func (t times) String() string {
	if len(t) == 0 {
		return "nothing measured"
	}
	slices.Sort(t)
	at := func(share float64) float64 { return float64(t[int(share*float64(len(t)-1))].Microseconds()) / 1000 }
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, worst %.1f ms", at(0.5), at(0.99), at(1))
}

func measure(n int, fn func(i int) error) (times, error) {
	var out times
	for i := range n {
		began := time.Now()
		if err := fn(i); err != nil {
			return out, err
		}
		out = append(out, time.Since(began))
	}
	return out, nil
}

// questions measures the package: a store that stays open, as the page has it.
func (c *config) questions(ctx context.Context) error {
	random, _, _, err := c.sample(ctx)
	if err != nil {
		return err
	}
	r, err := store.Open(c.store())
	if err != nil {
		return err
	}
	defer r.Close()
	files, err := r.Files(ctx)
	if err != nil {
		return err
	}
	end := files[len(files)-1].Last
	read := func(q store.Query) func(int) error {
		return func(int) error { return r.Read(ctx, q, func(store.Item) error { return nil }) }
	}
	errorsOnly, err := cond.ParseWhere([]string{"level>=error"})
	if err != nil {
		return err
	}
	asks := []struct {
		what string
		n    int
		fn   func(int) error
	}{
		{"trace", len(random), func(i int) error {
			_, err := r.Trace(ctx, random[i].String(), func(store.Item) error { return nil })
			return err
		}},
		{"level>=error, last hour", 5, read(store.Query{Since: end.Add(-time.Hour), Where: errorsOnly})},
		{"an id, all days", 5, read(store.Query{Words: []string{"AB-12345", "o-00012345"}})},
		{"frames, last hour", 5, read(store.Query{Since: end.Add(-time.Hour), Frames: true})},
		{"failed tasks, all days", 5, func(int) error {
			_, err := r.Tasks(ctx, store.TaskQuery{Outcomes: []task.Outcome{task.Failed}})
			return err
		}},
		{"counts by minute, all days", 5, func(int) error {
			return r.Counts(ctx, time.Time{}, time.Time{}, func(store.Count) error { return nil })
		}},
	}
	for _, a := range asks {
		t, err := measure(a.n, a.fn)
		if err != nil {
			return fmt.Errorf("%s: %w", a.what, err)
		}
		fmt.Printf("ask        %-26s %v\n", a.what, t)
	}
	return nil
}

// commands measures whole commands: a process that starts, opens the store, finds the trace, builds the tree and prints it.
func (c *config) commands(ctx context.Context) error {
	random, largest, longest, err := c.sample(ctx)
	if err != nil {
		return err
	}
	command := []string{os.Args[0], "tree", c.store()}
	if c.command != "" {
		command = strings.Fields(c.command)
	}
	for _, s := range []struct {
		what   string
		traces []task.Trace
	}{{"random", random}, {"largest", largest}, {"longest", longest}} {
		t, err := measure(len(s.traces), func(i int) error {
			cmd := exec.Command(command[0], append(slices.Clone(command[1:]), s.traces[i].String())...)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, out)
			if err == nil && n == 0 {
				err = errors.New("it printed nothing")
			}
			return errors.Join(err, cmd.Wait())
		})
		if err != nil {
			return err
		}
		fmt.Printf("command    tree, the %d %-8s       %v\n", len(s.traces), s.what, t)
	}
	return nil
}

// printTree is what `dlog-sink tree` does with a store.
func printTree(ctx context.Context, dir, id string) error {
	r, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	forest := tree.With(tree.Config{DropLoose: true})
	_, err = r.Trace(ctx, id, func(it store.Item) error {
		e, err := entry.Parse(bytes.Clone(it.Line))
		if err == nil {
			forest.AddAt(e, it.Time)
		}
		return nil
	})
	if err != nil {
		return err
	}
	roots, err := forest.Find(id)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for _, root := range roots {
		if err := view.Tree(out, root, view.TreeOptions{}); err != nil {
			return err
		}
	}
	return out.Flush()
}
