//go:build unix

package client

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is the network between applications and the server: what the server says takes its time, or gets lost.
type proxy struct {
	l      net.Listener
	target string
	late   atomic.Int64 // ns that what the server says takes longer
	deaf   atomic.Bool  // what the server says is thrown away

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	t.Cleanup(func() {
		l.Close()
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

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
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		said := make(chan chunk, 4096)
		wg.Go(func() { p.ask(server, client) })
		wg.Go(func() { p.hear(said, server) })
		wg.Go(func() { p.answer(client, said) })
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) forget(a net.Conn) {
	a.Close()
	p.mu.Lock()
	delete(p.conns, a)
	p.mu.Unlock()
}

// ask passes on what the application says.
func (p *proxy) ask(server, client net.Conn) {
	defer p.forget(server)
	defer p.forget(client)
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type chunk struct {
	b  []byte
	at time.Time
}

func (p *proxy) hear(said chan<- chunk, server net.Conn) {
	defer close(said)
	for {
		b := make([]byte, 16<<10)
		n, err := server.Read(b)
		said <- chunk{b[:n], time.Now().Add(time.Duration(p.late.Load()))}
		if err != nil {
			return
		}
	}
}

func (p *proxy) answer(client net.Conn, said <-chan chunk) {
	defer p.forget(client)
	broken := false
	for c := range said { // to the end, so that hear never waits for ever
		if broken || p.deaf.Load() {
			continue
		}
		pause(time.Until(c.at))
		if !p.deaf.Load() {
			_, err := client.Write(c.b)
			broken = err != nil
		}
	}
}
