package sink

import (
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Identity is what makes an entry the same one wherever it turns up: the process that said it and its number there. Lines that
// were not written through dlog have none.
type Identity struct {
	Process task.Process
	Seq     uint64
}

// IsZero reports whether there is no identity.
func (i Identity) IsZero() bool { return i == Identity{} }

// identityKeys are the slots of a Scanner.
var identityKeys = entry.CompileKeys([]string{"dlog.proc", "dlog.seq"})

// Scanner reads identities without allocating. It is for one goroutine; the zero value is ready.
type Scanner struct {
	slots [2]entry.Value
	text  [16]byte
}

// Scan checks that a line is one JSON object, and returns its identity in the same pass.
func (s *Scanner) Scan(line []byte) (Identity, error) {
	if err := identityKeys.Scan(line, s.slots[:]); err != nil {
		return Identity{}, err
	}
	proc, seq := s.slots[0], s.slots[1]
	n, ok := seq.Uint()
	if !ok || proc.Kind != entry.String {
		return Identity{}, nil
	}
	p, ok := processOf(proc.Text(s.text[:0]))
	if !ok {
		return Identity{}, nil
	}
	return Identity{p, n}, nil
}

// processOf is task.ParseProcess without the string that its error would need.
func processOf(hex []byte) (task.Process, bool) {
	var p task.Process
	if len(hex) != 2*len(p) {
		return p, false
	}
	for i := range p {
		hi, ok1 := nibble(hex[2*i])
		lo, ok2 := nibble(hex[2*i+1])
		if !ok1 || !ok2 {
			return task.Process{}, false
		}
		p[i] = hi<<4 | lo
	}
	return p, true
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
