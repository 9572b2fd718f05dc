package transport

import (
	"strings"

	"github.com/dlog-fabric/dlog/pkg/spool"
)

// maxGathered bounds the entries read from queues and not yet stored, in packs and
// waiting: about 2 MiB of references. The lines themselves stay where the queue has them.
const maxGathered = 32 << 10

// A ref is one entry that was read and is not stored yet. Refs of one subject, and then
// of one pack, are chained by index: no allocation, and no slice that grew in a burst.
type ref struct {
	at    spool.Pos
	line  []byte
	count uint64 // position among all that were read
	next  int32  // index of the next in the chain, 0 at its end
}

// refs is an arena of refs; index 0 is never used.
type refs struct {
	all  []ref
	free int32
	used int
}

func (r *refs) full() bool { return r.used >= maxGathered }

func (r *refs) add(it spool.Item, count uint64) int32 {
	if len(r.all) == 0 {
		r.all = make([]ref, 1, 256)
	}
	i := r.free
	if i != 0 {
		r.free = r.all[i].next
	} else {
		i = int32(len(r.all))
		r.all = append(r.all, ref{})
	}
	r.used++
	r.all[i] = ref{at: it.At, line: it.Line, count: count}
	return i
}

// drop frees a whole chain.
func (r *refs) drop(first int32) {
	for i := first; i != 0; {
		next := r.all[i].next
		r.all[i] = ref{next: r.free}
		r.free, i = i, next
		r.used--
	}
}

// A subj is what the sender knows of one subject of one source.
type subj struct {
	src   *source
	name  string // as in the queue
	wire  string // as it is published: name, made valid
	class class

	first, last int32 // gathered, not in a pack
	bytes       int   // of those
	inFlight    *pack
	old         []*pack // fixed by an earlier run, to be sent before all else
	ready       bool    // in the sender's list
	heavy       bool    // counted in the sender's heavy
}

// waits says whether there is something that could go.
func (s *subj) waits() bool { return s.inFlight == nil && (s.first != 0 || len(s.old) > 0) }

// A source is a queue and what was read from it.
type source struct {
	q       spool.Queue
	done    func(error) // told when an adopted source is empty; nil for the transport's own
	subjs   map[string]*subj
	number  uint64 // of the pack fixed last
	read    uint64 // entries that Next returned
	before  uint64 // entries that were there before and will come from Next
	pending int    // packs of an earlier run not stored yet
	held    uint64 // entries read or pending and not stored
	dry     bool   // Next had nothing when it was asked last
}

func newSource(q spool.Queue, done func(error)) *source {
	s := &source{q: q, done: done, subjs: make(map[string]*subj), number: q.LastNumber()}
	stats := q.Stats()
	s.before = stats.Waiting
	for _, p := range q.Pending() {
		s.addPending(p)
		s.before -= min(s.before, uint64(p.Count))
	}
	s.before -= min(s.before, stats.Reserved)
	return s
}

func (s *source) addPending(p spool.Pack) {
	sj := s.subject(p.Subject, normal)
	sj.old = append(sj.old, &pack{fixed: p, subj: sj, pending: true, unsure: true})
	s.pending++
	s.held += uint64(p.Count)
}

func (s *source) subject(name string, k class) *subj {
	sj := s.subjs[name]
	if sj == nil {
		name = strings.Clone(name)
		sj = &subj{src: s, name: name, wire: wireSubject(name), class: k}
		s.subjs[name] = sj
	}
	return sj
}

// maxSubjects bounds the subjects that are remembered. Applications have at most 300
// paths of a few levels; a writer with more pays for forgetting, not with memory.
const maxSubjects = 4096

// forget drops the subjects that hold nothing, once there are too many.
func (s *source) forget() {
	if len(s.subjs) < maxSubjects {
		return
	}
	for name, sj := range s.subjs {
		if sj.first == 0 && sj.inFlight == nil && len(sj.old) == 0 {
			delete(s.subjs, name)
		}
	}
}

// adopted says whether the queue is of a dead process.
func (s *source) adopted() bool { return s.done != nil }

// room is how many refs there may be when the source is read. The dead leave half of
// them to the living.
func (s *source) room() int {
	if s.adopted() {
		return maxGathered / 2
	}
	return maxGathered
}

// empty says whether nothing is left of an adopted queue.
func (s *source) empty() bool { return s.dry && s.held == 0 && s.q.Stats().Waiting == 0 }

// wireSubject is the subject itself, but for one that a broken writer made: a blank or
// control character in it would break the protocol, an empty token would be refused for
// ever, and one beyond the server's control line would close the connection. Such an
// entry travels under a subject that says what it can.
func wireSubject(name string) string {
	const most = 2048 // the server's control line holds 4096, reply subject and sizes included
	if len(name) > most {
		name = strings.TrimRight(name[:most], ".")
	}
	tokens := strings.Split(name, ".")
	changed := false
	for i, token := range tokens {
		clean := strings.Map(func(r rune) rune {
			if r <= ' ' || r == '*' || r == '>' || r == 0x7f {
				return '_'
			}
			return r
		}, strings.ToValidUTF8(token, "_"))
		if clean == "" {
			clean = "_"
		}
		if clean != token {
			tokens[i], changed = clean, true
		}
	}
	if !changed {
		return name
	}
	return strings.Join(tokens, ".")
}
