package cond

import "slices"

// AsksSubject reports whether anything in the condition is decided by subjects.
func (c Cond) AsksSubject() bool { return asksSubject(c.node()) }

func asksSubject(n node) bool {
	switch n := n.(type) {
	case service, level, path:
		return true
	case not:
		return asksSubject(n.of)
	case all:
		return slices.ContainsFunc(n, asksSubject)
	case anyOf:
		return slices.ContainsFunc(n, asksSubject)
	}
	return false
}

// AppendVerdicts appends, for each condition on service, level or path in c, a
// byte with what the subject says of it. Two subjects with the same bytes leave
// the same rest in Resolve, and to compare these is much faster. The record
// holds the subject: Load it without layout and line.
func (c Cond) AppendVerdicts(dst []byte, r *Record) []byte { return appendVerdicts(dst, c.node(), r) }

func appendVerdicts(dst []byte, n node, r *Record) []byte {
	switch n := n.(type) {
	case service, level, path:
		v, _ := n.resolve(r)
		return append(dst, '0'+byte(v))
	case not:
		return appendVerdicts(dst, n.of, r)
	case all:
		for _, sub := range n {
			dst = appendVerdicts(dst, sub, r)
		}
	case anyOf:
		for _, sub := range n {
			dst = appendVerdicts(dst, sub, r)
		}
	}
	return dst
}
