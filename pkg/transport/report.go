package transport

import (
	"fmt"
	"time"
)

// A failure is one distinct thing that goes wrong. It is said once when it begins and
// once when it is over, however many packs meet it and however often.
type failure struct {
	key   string
	text  string
	since int64
	packs int // that stand because of it
}

// reports keeps the failures of the moment. The sender's goroutine owns it.
type reports struct {
	say  func(string)
	now  map[string]*failure
	last string // the text said last
	at   int64  // and when, Unix nanoseconds
}

// maxFailures bounds the distinct failures that are said at one time: a server that
// refuses 300 subjects one by one has said enough after the first of them.
const maxFailures = 16

// begin notes a failure and says it if it is new. It returns nil when too many are
// known already.
func (r *reports) begin(key, text string, t int64) *failure {
	f := r.now[key]
	if f != nil {
		return f
	}
	if len(r.now) >= maxFailures {
		return nil
	}
	if r.now == nil {
		r.now = make(map[string]*failure)
	}
	f = &failure{key: key, text: text, since: t}
	r.now[key] = f
	r.last, r.at = text, time.Now().UnixNano()
	r.say(text)
	return f
}

// over says that a failure is gone, if it was there.
func (r *reports) over(key, text string, t int64) {
	f := r.now[key]
	if f == nil {
		return
	}
	delete(r.now, key)
	r.say(fmt.Sprintf("%s (after %s)", text, time.Duration(t-f.since).Round(100*time.Millisecond)))
}

// meet makes a pack stand because of a failure, instead of what it stood for before.
func (r *reports) meet(p *pack, key, text string, t int64) {
	f := r.begin(key, text, t)
	if p.failure == f {
		return
	}
	r.part(p, t)
	if p.failure = f; f != nil {
		f.packs++
	}
}

// part frees a pack of its failure; the last one to go ends it.
func (r *reports) part(p *pack, t int64) {
	f := p.failure
	if f == nil {
		return
	}
	p.failure = nil
	if f.packs--; f.packs == 0 {
		r.over(f.key, "over: "+f.text, t)
	}
}

// forget drops what no pack stands for and nothing ends, so that it is said again if it
// happens on a new connection.
func (r *reports) forget() {
	for key, f := range r.now {
		if f.packs == 0 && key != "journal" && key != "refused" { // what is the queue's, no connection ends
			delete(r.now, key)
		}
	}
}
