package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// runShop starts the services, each a process of its own, places the orders and stops the services in the order of the flow,
// so that each drains into one that still listens.
func runShop(ctx context.Context, o options, out io.Writer) error {
	var procs []*process
	stopAll := func() error {
		var errs []error
		for i := len(procs) - 1; i >= 0; i-- {
			errs = append(errs, procs[i].stop())
		}
		return errors.Join(errs...)
	}
	upstream := []string{}
	for _, name := range []string{"mailer", "inventory", "payments", "checkout", "gateway"} {
		p, err := startProcess(name, o, strings.Join(upstream, ","))
		if err != nil {
			return errors.Join(err, stopAll())
		}
		procs = append(procs, p)
		upstream = append(upstream, name+"="+p.url)
	}
	err := placeAll(ctx, o, procs[len(procs)-1].url, out)
	return errors.Join(err, stopAll())
}

// placeAll places the orders, four customers at a time, and writes what must become of each into the book.
func placeAll(ctx context.Context, o options, gateway string, out io.Writer) error {
	orders := draw(o.orders, o.seed)
	if err := writeOrders(o.ledger+".orders", orders); err != nil {
		return err
	}
	todo := make(chan order)
	var customers sync.WaitGroup
	for range 4 {
		customers.Go(func() {
			for or := range todo {
				place(ctx, gateway, o.ledger, or)
			}
		})
	}
	for i := 0; ctx.Err() == nil && (o.keep || i < len(orders)); i++ {
		or := orders[i%len(orders)]
		if i >= len(orders) {
			or.ID = fmt.Sprintf("o-%03d", i+1)
		}
		select {
		case todo <- or:
		case <-ctx.Done():
		}
	}
	close(todo)
	customers.Wait()
	fmt.Fprintf(out, "%d orders placed\n", len(orders))
	return nil
}

// place sends one order. Its answer does not matter: what happened is for dlog to tell.
func place(ctx context.Context, gateway, ledgerPath string, o order) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if o.Fate == customerGone {
		go hangUp(ctx, cancel, ledgerPath, o.ID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway+"/orders", nil)
	if err != nil {
		return
	}
	req.Header.Set("X-Order", o.ID)
	req.Header.Set("X-Fate", string(o.Fate))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// hangUp cancels the customer's request as soon as the shop's book shows that inventory is searching for the goods.
func hangUp(ctx context.Context, cancel context.CancelFunc, ledgerPath, id string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lines, err := readLedger(ledgerPath)
		if err != nil {
			continue // a line that is being written
		}
		for _, l := range lines {
			if l.Order == id && l.Message == searching {
				cancel()
				return
			}
		}
	}
}

func writeOrders(path string, orders []order) error {
	b, err := json.MarshalIndent(orders, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("write orders: %w", err)
	}
	return nil
}

// A process is one running service.
type process struct {
	name string
	url  string
	cmd  *exec.Cmd
}

// startProcess runs this program once more as the service and waits for the line with its address.
func startProcess(name string, o options, upstream string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(self, name, "--ledger", o.ledger, "--nats", o.nats, "--upstream", upstream)
	cmd.Env = append(os.Environ(), "DLOG_SERVICE="+name, "DLOG_URL="+o.nats, "DLOG_ALSO=none")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: it ended before it was ready", name), cmd.Wait())
	}
	return &process{name, strings.TrimSpace(url), cmd}, nil
}

// stop asks the service to end and waits until it has.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}
