package client

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// clientEnv makes the test binary an application that logs until it is killed.
const clientEnv = "DLOG_TEST_CLIENT"

func logUntilKilled(spec string) {
	url, dir, _ := strings.Cut(spec, " ")
	q, err := spool.Open(spool.Config{Dir: dir, Bytes: 64 << 20})
	if err == nil {
		_, err = transport.Open(transport.Config{URL: url, Queue: q})
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := 0; ; n++ {
		level := loadLevels[r.IntN(len(loadLevels))]
		subject := fmt.Sprintf("dlog.in.shop.%s.order.step%d", level, r.IntN(8))
		line := fmt.Sprintf(`{"g":%d,"n":%d,"text":"%s"}`+"\n", os.Getpid(), n, strings.Repeat("x", r.IntN(300)))
		f, err := q.Reserve(subject, level, false, len(line))
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		f.Commit(copy(f.Line, line))
		// From here on the entry is promised.
		fmt.Printf("%d %d %s\n", os.Getpid(), n, subject)
		if n%50 == 49 {
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// An application is killed in the middle of its work while answers do not reach it;
// another adopts its spool. What a call returned for is stored once.
func TestApplicationKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	dir := t.TempDir()
	l := ledger{said: map[string]string{}, more: true}
	for range 4 {
		p.set(func() { p.lose = [2]bool{} })
		l.follow(t, exec.Command(os.Args[0], "-test.run=^$"), clientEnv+"="+p.url()+" "+dir, func() {
			pause(time.Duration(100+rand.IntN(300)) * time.Millisecond)
			p.set(func() { p.lose[toClient] = true })
			pause(time.Duration(rand.IntN(300)) * time.Millisecond)
		})
		p.cut()
	}
	p.set(func() { p.lose = [2]bool{} })
	adoptAll(t, p.url(), dir)
	l.compare(t, s)
}

// follow runs an application until trouble has had its way, then kills it, and writes
// down what it promised.
func (l *ledger) follow(t *testing.T, cmd *exec.Cmd, env string, trouble func()) {
	t.Helper()
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			i := strings.LastIndexByte(lines.Text(), ' ')
			if i < 0 || strings.HasPrefix(lines.Text(), "error:") {
				t.Errorf("application said %q", lines.Text())
				return
			}
			l.said[lines.Text()[:i]] = lines.Text()[i+1:]
		}
	}()
	trouble()
	cmd.Process.Kill()
	<-read
	cmd.Wait()
}

func adoptAll(t *testing.T, url, dir string) {
	t.Helper()
	dead, err := spool.Adopt(dir)
	if err != nil || len(dead) == 0 {
		t.Fatalf("adopt: %d spools, %v", len(dead), err)
	}
	tr, _ := open(t, transport.Config{URL: url})
	done := make(chan error, len(dead))
	for _, q := range dead {
		pending := 0
		for _, p := range q.Pending() {
			pending += p.Count
		}
		t.Logf("adopting a spool with %d packs of %d entries in flight", len(q.Pending()), pending)
		tr.Adopt(q, func(err error) { done <- err })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range dead {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatalf("not adopted in time; %+v", tr.Stats())
		}
	}
	for _, q := range dead {
		if !q.Drained() || q.Err() != nil {
			t.Errorf("drained %v, error %v", q.Drained(), q.Err())
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
