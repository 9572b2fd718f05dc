package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// A line is one thing a service said, in the shop's own book.
type line struct {
	Order   string `json:"order,omitempty"` // "" where it was said outside of any order
	Service string `json:"service"`
	Level   string `json:"level"`
	Message string `json:"message"`
}

// A ledger is the shop's own book of what it said: one file that all processes append to, a line per write, written before
// the logger is called. It shares no code with dlog.
type ledger struct {
	mu      sync.Mutex
	file    *os.File
	service string
}

func openLedger(path, service string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return &ledger{file: f, service: service}, nil
}

// note writes one line; a ledger that cannot be written makes every comparison worthless, so the process ends.
func (l *ledger) note(order, level, message string) {
	b, err := json.Marshal(line{order, l.service, level, message})
	if err == nil {
		l.mu.Lock()
		_, err = l.file.Write(append(b, '\n'))
		l.mu.Unlock()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop: write ledger:", err)
		os.Exit(1)
	}
}

func readLedger(path string) ([]line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer f.Close()
	var out []line
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("read ledger: line %d: %w", len(out)+1, err)
		}
		out = append(out, l)
	}
	return out, nil
}
