package eliot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// TestGoToPythonAndBack hands a task over from Go to Python and from there to Go again, and wants one whole tree of the two logs,
// whatever the order of their lines.
func TestGoToPythonAndBack(t *testing.T) {
	f := func(want, wantCause string, args ...string) {
		t.Helper()
		dir := t.TempDir()
		goLog, pyLog := filepath.Join(dir, "shop.log"), filepath.Join(dir, "printer.log")
		shop := process(t, "shop", goLog)
		ctx, order := shop.Start(context.Background(), "place-order", structure.Str("order", "o-17"))
		zerolog.Ctx(ctx).Info().Msg("label wanted")
		back := python(t, "print.py", pyLog, nil, append([]string{order.ExportEliot("printer")}, args...)...)
		mail := process(t, "mail", goLog)
		ctx, send := mail.Import(context.Background(), back, "tell-customer")
		zerolog.Ctx(ctx).Info().Msg("sent")
		_, smtp := mail.Start(ctx, "smtp")
		smtp.End(nil)
		send.End(nil)
		order.End(nil)

		trace := order.Trace().String()
		for seed := range uint64(4) {
			file := shuffled(t, seed, goLog, pyLog)
			got := treeOf(t, trace, file).outline()
			if diff := cmp.Diff(strings.ReplaceAll(want, "printer)", fmt.Sprintf("all-%d)", seed)), got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
		text := sink(t, "tree", trace, "--file", goLog, "--file", pyLog)
		if !strings.Contains(text, "✔ tell-customer  mail") || !strings.Contains(text, wantCause) {
			t.Errorf("tree:\n%s", text)
		}
		if sum := sink(t, "tasks", "--file", goLog, "--file", pyLog, "--format", "json"); strings.Count(sum, "\n") != 1 || !strings.Contains(sum, `"missing":0`) {
			t.Errorf("tasks: %s", sum)
		}
	}
	f(`place-order (shop) succeeded 4
place-order/eliot:remote_task (printer) succeeded 2
place-order/eliot:remote_task/layout (printer) succeeded 3
place-order/eliot:remote_task/print (printer) succeeded 3
place-order/eliot:remote_task/print/tell-customer (mail) succeeded 3
place-order/eliot:remote_task/print/tell-customer/smtp (mail) succeeded 2
`, "")
	f(`place-order (shop) succeeded 4
place-order/eliot:remote_task (printer) failed 2
place-order/eliot:remote_task/layout (printer) succeeded 3
place-order/eliot:remote_task/print (printer) failed 2
place-order/eliot:remote_task/print/tell-customer (mail) succeeded 3
place-order/eliot:remote_task/print/tell-customer/smtp (mail) succeeded 2
`, "cause: place-order/eliot:remote_task/print (printer): printer on fire", "fails")
}

// TestTwoClaims lets two Go processes continue one id of Eliot's, as a repeated delivery does: both stand in the tree, side by side.
func TestTwoClaims(t *testing.T) {
	dir := t.TempDir()
	goLog, pyLog := filepath.Join(dir, "go.log"), filepath.Join(dir, "py.log")
	shop := process(t, "shop", goLog)
	_, order := shop.Start(context.Background(), "place-order")
	back := python(t, "print.py", pyLog, nil, order.ExportEliot("printer"))
	for _, err := range []error{errors.New("mailbox full"), nil} {
		_, send := process(t, "mail", goLog).Import(context.Background(), back, "tell-customer")
		send.End(&err)
	}
	order.End(nil)
	got := treeOf(t, order.Trace().String(), goLog, pyLog).outline()
	const failed, sent = "/tell-customer (mail) failed 2\n", "/tell-customer (mail) succeeded 2\n"
	if i, k := strings.Index(got, failed), strings.Index(got, sent); i < 0 || k < i {
		t.Errorf("tree:\n%s", got)
	}
}

// TestPythonToGoAndBack starts in Python: a Go program finds its place in DLOG_TASK, and hands back to Python.
func TestPythonToGoAndBack(t *testing.T) {
	dir := t.TempDir()
	goLog, pyLog := filepath.Join(dir, "convert.log"), filepath.Join(dir, "backup.log")
	uuid := python(t, "backup.py", pyLog, []string{runAs + "=convert", "DLOG_TEST_LOG=" + goLog}, os.Args[0])
	want := `backup (backup) succeeded 2
backup/dump (backup) succeeded 2
backup/dump/convert (convert) succeeded 4
backup/dump/convert/eliot:remote_task (backup) succeeded 2
backup/dump/convert/eliot:remote_task/verify (backup) succeeded 2
`
	if diff := cmp.Diff(want, treeOf(t, uuid, pyLog, goLog).outline()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strings.ReplaceAll(want, "(backup)", "(all-3)"), treeOf(t, uuid, shuffled(t, 3, pyLog, goLog)).outline()); diff != "" {
		t.Errorf("shuffled (-want +got):\n%s", diff)
	}
}

// convert is the Go program that backup.py runs.
func convert() int {
	f, err := os.OpenFile(os.Getenv("DLOG_TEST_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer f.Close()
	p, err := structure.New(structure.Config{Service: "convert", Out: structure.Writer(f), Parent: os.Getenv(task.EnvTask)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, t := p.Start(context.Background(), "convert")
	zerolog.Ctx(ctx).Info().Int("rows", 17).Msg("converted")
	fmt.Println(t.ExportEliot("backup.py"))
	t.End(nil)
	return 0
}
