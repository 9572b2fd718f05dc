package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/natsd"
)

// roleEnv makes this program one of the applications: "KIND ENTRIES RATE", rate 0 being as fast as possible.
const roleEnv = "CLIENTBENCH_ROLE"

const appTasks = 10 // with four levels, 40 subjects

// runApp is an application that says what workload "shop" says of one process.
func runApp(role string) error {
	var kind string
	var entries, rate int
	if _, err := fmt.Sscan(role, &kind, &entries, &rate); err != nil {
		return err
	}
	var loggers []*zerolog.Logger
	stop := func() error { return nil }
	before := look()
	switch kind {
	case "dlog":
		d, err := dlog.Open(dlog.Config{Service: "shop", Also: "none", Stderr: io.Discard})
		if err != nil {
			return err
		}
		var ends []func()
		for i := range appTasks {
			ctx, t := d.Start(context.Background(), "task-"+string(rune('a'+i)))
			loggers = append(loggers, zerolog.Ctx(ctx))
			ends = append(ends, func() { t.End(nil) })
		}
		stop = func() error {
			for _, end := range ends {
				end()
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return d.Close(ctx)
		}
	case "zerolog":
		l := zerolog.New(os.Stdout).With().Timestamp().Logger()
		for i := range appTasks {
			own := l.With().Str("task", "task-"+string(rune('a'+i))).Logger()
			loggers = append(loggers, &own)
		}
	}
	speak(loggers, entries, rate)
	after := look()
	if err := stop(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(os.Stderr, "memory %d %d %d %d\n", after.anon-before.anon, after.shared, after.goroutines-before.goroutines, after.heap-before.heap)
	return err
}

func speak(loggers []*zerolog.Logger, entries, rate int) {
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range entries {
		for rate > 0 && float64(n) > time.Since(start).Seconds()*float64(rate) {
			<-tick.C
		}
		level := zerolog.DebugLevel
		switch p := r.IntN(100); {
		case p >= 98:
			level = zerolog.ErrorLevel
		case p >= 90:
			level = zerolog.WarnLevel
		case p >= 60:
			level = zerolog.InfoLevel
		}
		text := pads[2].text[:r.IntN(300)]
		loggers[r.IntN(len(loggers))].WithLevel(level).Str("sku", "A-17").Int("n", n).Str("text", text).Msg("reserved")
	}
}

type size struct{ anon, shared, heap, goroutines int }

// look tells what the process takes: its own memory, and pages of mapped spools, which the system may take back.
func look() size {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	s := size{goroutines: runtime.NumGoroutine(), heap: int(m.HeapAlloc)}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 {
			kb, _ := strconv.Atoi(f[1])
			switch f[0] {
			case "RssAnon:":
				s.anon = kb << 10
			case "RssShmem:":
				s.shared = kb << 10
			}
		}
	}
	return s
}

func benchApps(runs int) error {
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	srv, err := b.server()
	if err != nil {
		return err
	}
	out, what, err := b.rsyslog()
	if err != nil {
		return err
	}
	fmt.Printf("\nwhole application, workload shop of one process (40 subjects), CPU an entry less that of a run without entries, %d interleaved runs\n", runs)
	fmt.Printf("  reference: zerolog → stdout piped to %s\n", what)
	dirs := b.places()[1:]
	for _, load := range []struct {
		name          string
		entries, rate int
	}{{"10,000 entries/s", 50_000, 10_000}, {"1,000 entries/s", 5_000, 1_000}, {"as fast as possible", 300_000, 0}} {
		if err := b.load(load.name, load.entries, load.rate, runs, srv, dirs, out); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) load(name string, entries, rate, runs int, url string, dirs []place, out func() (io.WriteCloser, func(), error)) error {
	cpu := map[string][]float64{}
	ratio := map[string][]float64{}
	var memory []string
	for range runs {
		ref, _, err := b.app("zerolog", entries, rate, nil, out)
		if err != nil {
			return err
		}
		cpu["zerolog"] = append(cpu["zerolog"], ref)
		for _, p := range dirs {
			env := []string{"DLOG_URL=" + url, "DLOG_SPOOL=" + p.dir}
			ns, mem, err := b.app("dlog", entries, rate, env, nil)
			if err != nil {
				return err
			}
			cpu[p.name], ratio[p.name] = append(cpu[p.name], ns), append(ratio[p.name], ns/ref)
			memory = append(memory, mem)
		}
	}
	fmt.Printf("  %s\n    %-38s %6.0f ns\n", name, "zerolog → stdout", median(cpu["zerolog"]))
	for _, p := range dirs {
		fmt.Printf("    %-38s %6.0f ns  × %.2f (%.2f to %.2f)  to reach: 1.00\n", "dlog, sender and acks, spool on "+p.name,
			median(cpu[p.name]), median(ratio[p.name]), slices.Min(ratio[p.name]), slices.Max(ratio[p.name]))
	}
	slices.Sort(memory)
	fmt.Printf("    of dlog in one of the runs: %s\n", memory[len(memory)/2])
	return nil
}

// app runs an application and one that says nothing, and returns the CPU of an entry in ns and what it says of its memory.
func (b *bench) app(kind string, entries, rate int, env []string, out func() (io.WriteCloser, func(), error)) (ns float64, memory string, err error) {
	full, memory, err := b.runApp(kind, entries, rate, env, out)
	if err != nil {
		return 0, "", err
	}
	idle, _, err := b.runApp(kind, 0, 0, env, out)
	return float64(full-idle) / float64(entries), memory, err
}

func (b *bench) runApp(kind string, entries, rate int, env []string, out func() (io.WriteCloser, func(), error)) (time.Duration, string, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, "", err
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("%s=%s %d %d", roleEnv, kind, entries, rate)), env...)
	var said strings.Builder
	cmd.Stderr = &said
	if out != nil {
		w, wait, err := out()
		if err != nil {
			return 0, "", err
		}
		defer wait()
		defer w.Close()
		cmd.Stdout = w
	}
	if err := cmd.Run(); err != nil {
		return 0, "", fmt.Errorf("run application %s: %w: %s", kind, err, said.String())
	}
	var anon, shared, goroutines, heap int
	if _, err := fmt.Sscanf(said.String(), "memory %d %d %d %d", &anon, &shared, &goroutines, &heap); err != nil {
		return 0, "", fmt.Errorf("application %s said %q", kind, said.String())
	}
	memory := fmt.Sprintf("%.1f MiB of memory, %.1f MiB of it in the heap's objects; %.1f MiB of pages shared with the spool's files; %d goroutines",
		float64(anon)/(1<<20), float64(heap)/(1<<20), float64(shared)/(1<<20), goroutines)
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory, nil
}

// server starts a NATS server with a stream that acks, in this process: its CPU is not the application's.
func (b *bench) server() (url string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	srv, err := natsd.Start(ctx, natsd.Config{Listen: "127.0.0.1:0", Data: filepath.Join(b.dir, "data")})
	if err != nil {
		return "", err
	}
	b.closers = append(b.closers, srv.Close)
	nc, err := srv.Connect()
	if err != nil {
		return "", err
	}
	b.closers = append(b.closers, nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		return "", err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "DLOG_IN", Subjects: []string{"dlog.in.>"}, Compression: jetstream.S2Compression,
		Duplicates: 20 * time.Second, MaxBytes: 4 << 30, AllowDirect: true,
	})
	return srv.URL(), err
}

// rsyslog starts an instance of its own and returns what gives applications a pipe to it.
func (b *bench) rsyslog() (out func() (io.WriteCloser, func(), error), what string, err error) {
	sink, what := []string{"cat"}, "cat (rsyslog was not run: rsyslogd and logger are not installed)"
	if errors.Join(lookPath("rsyslogd"), lookPath("logger")) == nil {
		dir, err := filepath.Abs(b.dir)
		if err != nil {
			return nil, "", err
		}
		socket, conf := filepath.Join(dir, "log.sock"), filepath.Join(dir, "rsyslog.conf")
		text := fmt.Sprintf("module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=%q RateLimit.Interval=\"0\")\n*.* action(type=\"omfile\" file=%q)\n",
			socket, filepath.Join(dir, "syslog"))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return nil, "", err
		}
		daemon := exec.Command("rsyslogd", "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
		if err := daemon.Start(); err != nil {
			return nil, "", err
		}
		b.closers = append(b.closers, func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if _, err := os.Stat(socket); err == nil {
				break
			}
		}
		sink, what = []string{"logger", "--socket", socket}, "logger and rsyslog, which writes a file"
	}
	return func() (io.WriteCloser, func(), error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		cmd := exec.Command(sink[0], sink[1:]...)
		cmd.Stdin = r
		if err := cmd.Start(); err != nil {
			return nil, nil, err
		}
		r.Close()
		return w, func() { _ = cmd.Wait() }, nil
	}, what, nil
}

func lookPath(name string) error {
	_, err := exec.LookPath(name)
	return err
}
