package subject

import (
	"errors"
	"fmt"
	"strings"
)

// ErrName means that a namespace or stream is not named as it must be.
var ErrName = errors.New("must be a-z, then up to 31 of a-z 0-9 -")

// CheckNamespace checks [a-z][a-z0-9-]{0,31}.
func CheckNamespace(ns string) error {
	if !validName(ns) {
		return fmt.Errorf("namespace %.40q: %w", ns, ErrName)
	}
	return nil
}

// CheckStream checks [a-z][a-z0-9-]{0,31}. The names "in" and "dead" are taken.
func CheckStream(name string) error {
	if !validName(name) {
		return fmt.Errorf("stream %.40q: %w", name, ErrName)
	}
	if name == KindIn || name == KindDead {
		return fmt.Errorf("stream %q: the name is taken", name)
	}
	return nil
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// StreamName returns the JetStream stream of a kind ("in", "to", "dead", "ctl", "ledger"):
// the namespace and the kind in upper case, and the name where there is one, as DLOG_IN or
// DLOG_TO_payments.
func StreamName(ns, kind, name string) string {
	s := strings.ToUpper(ns + "_" + kind)
	if name == "" {
		return s
	}
	return s + "_" + name
}
