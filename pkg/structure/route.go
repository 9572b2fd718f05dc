package structure

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// defaultPaths is how many distinct paths a process gets subjects for: each subject costs the server some 390 bytes of heap for as long as
// the stream holds it, and nine levels go with a path.
const defaultPaths = 300

// nodesPerPath bounds the nodes kept: names with ids in them share a subject, so there may be more nodes than subjects.
const nodesPerPath = 4

// route holds the subjects of one path, one per level token, each made at its first use.
type route struct {
	system   string // the subject under the token "task"
	subjects [int(entry.None-entry.Trace) + 1]atomic.Pointer[string]
}

// node is one path of tasks.
type node struct {
	name   string
	path   string // as in dlog.path
	mid    string // `","path":"…","pos":"`, what stands between the trace and the position in a line
	names  int
	folded bool // its subject is the one that the paths above the limit share
	route  *route

	children atomic.Pointer[map[string]*node] // copied on write; writers hold routes.mu
}

// routes makes and keeps nodes and routes.
type routes struct {
	ns, service string
	limit       int
	say         *sayer

	outside *node // no task at all
	root    *node // parent of the outermost tasks

	mu    sync.Mutex // guards known, nodes and writing to children
	known map[string]*route
	nodes int
}

func newRoutes(ns, service string, limit int, say *sayer) *routes {
	r := &routes{ns: ns, service: service, limit: limit, say: say, known: make(map[string]*route)}
	r.outside = &node{route: &route{system: subject.In(ns, service, subject.TaskLevel, "")}}
	r.root = &node{}
	return r
}

// child returns the node of the task called name below parent. A known one costs a pointer and a map lookup.
func (r *routes) child(parent *node, name string) *node {
	if m := parent.children.Load(); m != nil {
		if n := (*m)[name]; n != nil {
			return n
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := parent.children.Load(); m != nil {
		if n := (*m)[name]; n != nil {
			return n
		}
	}
	n := r.makeNode(parent, name)
	if r.nodes < nodesPerPath*r.limit {
		r.nodes++
		parent.keep(n)
	}
	return n
}

// keep makes the child known under its name.
func (n *node) keep(child *node) {
	old := n.children.Load()
	m := map[string]*node{child.name: child}
	if old != nil {
		for k, v := range *old {
			m[k] = v
		}
	}
	n.children.Store(&m)
}

// within returns the node of a path that came from elsewhere, by a token.
func (r *routes) within(path string) *node {
	n := r.root
	for _, name := range task.SplitPath(path) {
		n = r.child(n, name)
	}
	return n
}

func (r *routes) makeNode(parent *node, name string) *node {
	path := task.JoinPath(parent.path, name)
	n := &node{name: name, path: path, mid: midOf(path), names: parent.names + 1}
	n.route, n.folded = r.routeOf(parent, n)
	return n
}

func (r *routes) routeOf(parent, n *node) (rt *route, folded bool) {
	if parent.folded {
		return parent.route, true
	}
	system := subject.In(r.ns, r.service, subject.TaskLevel, n.path)
	if rt := r.known[system]; rt != nil {
		return rt, false
	}
	if len(r.known) < r.limit {
		r.adviseOnIDs(system, n)
		rt := &route{system: system}
		r.known[system] = rt
		return rt, false
	}
	r.say.once("paths", "more than %d distinct task paths: %q and others share the subject of the task above them (names, never ids, belong in a task's name; ids belong in fields)",
		r.limit, n.name)
	system = r.foldedSubject(parent, n)
	if rt := r.known[system]; rt != nil {
		return rt, true
	}
	rt = &route{system: system}
	r.known[system] = rt // bounded: one for each path that is known
	return rt, true
}

// foldedSubject returns the parent's names with a last token "=". Where the names are too many for a subject, its tail is "=" already.
func (r *routes) foldedSubject(parent, n *node) string {
	if parent.names >= subject.MaxNames {
		return subject.In(r.ns, r.service, subject.TaskLevel, n.path)
	}
	s := subject.In(r.ns, r.service, subject.TaskLevel, parent.path)
	if parent.names == 0 {
		return strings.TrimSuffix(s, "-") + "="
	}
	return s + ".="
}

func (r *routes) adviseOnIDs(system string, n *node) {
	token := system[strings.LastIndexByte(system, '.')+1:]
	if n.names <= subject.MaxNames && hasFold(token) && !hasFold(task.EscapeName(n.name)) {
		r.say.once("id", "the task's name %q seems to hold an id: its subject says %q instead (put ids in fields)", n.name, token)
	}
}

// hasFold reports whether a token holds "=" that no two hex digits follow.
func hasFold(token string) bool {
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			continue
		}
		if i+2 >= len(token) || !isHex(token[i+1]) || !isHex(token[i+2]) {
			return true
		}
		i += 2
	}
	return false
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// subject returns the subject of an entry of this level.
func (rt *route) subject(level entry.Level) string {
	p := &rt.subjects[level-entry.Trace]
	if s := p.Load(); s != nil {
		return *s
	}
	s := withLevel(rt.system, level.Token())
	p.Store(&s)
	return s
}

// withLevel puts another level into a subject: its fourth token.
func withLevel(system, level string) string {
	at := 0
	for range 3 {
		at += strings.IndexByte(system[at:], '.') + 1
	}
	return system[:at] + level + system[at+len(subject.TaskLevel):]
}

func midOf(path string) string {
	b := append([]byte(nil), `","path":`...)
	b = entry.AppendString(b, path)
	return string(append(b, `,"pos":"`...))
}
