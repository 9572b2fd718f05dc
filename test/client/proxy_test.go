package client

import (
	"net"
	"sync"
	"testing"
)

// proxy is the network between client and server, with its faults.
type proxy struct {
	l      net.Listener
	target string

	mu    sync.Mutex // guards what follows
	cond  *sync.Cond
	hold  [2]bool // nothing passes towards the server, the client
	lose  [2]bool // what passes is thrown away
	conns map[net.Conn]bool
}

const (
	toServer = iota
	toClient
)

func startProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	p.cond = sync.NewCond(&p.mu)
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	tb.Cleanup(func() {
		l.Close()
		p.set(func() { p.hold, p.lose = [2]bool{}, [2]bool{} })
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

func (p *proxy) set(f func()) {
	p.mu.Lock()
	f()
	p.cond.Broadcast()
	p.mu.Unlock()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.set(func() {
		for c := range p.conns {
			c.Close()
		}
		clear(p.conns)
	})
}

func (p *proxy) accept(wg *sync.WaitGroup) {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.set(func() { p.conns[client], p.conns[server] = true, true })
		wg.Go(func() { p.pass(toServer, server, client) })
		wg.Go(func() { p.pass(toClient, client, server) })
	}
}

func (p *proxy) pass(way int, to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.hold[way] {
			p.cond.Wait()
		}
		lose := p.lose[way]
		p.mu.Unlock()
		if !lose {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
