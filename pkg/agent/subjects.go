package agent

import (
	"fmt"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

const (
	maxPaths    = 300  // distinct paths with subjects of their own, as in pkg/structure
	maxSubjects = 4096 // subjects that are remembered
)

// subjects makes the subjects of entries that say themselves where they belong.
type subjects struct {
	ns    string
	say   func(string)
	paths map[string]struct{} // services and paths that have subjects
	known map[string]string
	key   []byte
}

// of returns the subject of a draft. Every distinct subject costs the server memory, so the paths beyond the first few hundred share those
// of the tasks above them.
func (s *subjects) of(service string, r *draft) string {
	level := r.level.Token()
	if r.frames {
		level = subject.TaskLevel
	}
	s.key = append(append(append(append(append(s.key[:0], level...), 0), service...), 0), r.meta.Path...)
	if known, ok := s.known[string(s.key)]; ok {
		return known
	}
	made := s.make(service, level, r.meta.Path)
	if s.known == nil || len(s.known) >= maxSubjects {
		s.known = make(map[string]string)
	}
	s.known[string(s.key)] = made
	return made
}

func (s *subjects) make(service, level, path string) string {
	system := subject.In(s.ns, service, subject.TaskLevel, path)
	if _, ok := s.paths[system]; ok || path == "" {
		return subject.In(s.ns, service, level, path)
	}
	if len(s.paths) < maxPaths {
		if s.paths == nil {
			s.paths = make(map[string]struct{})
		}
		s.paths[system] = struct{}{}
		return subject.In(s.ns, service, level, path)
	}
	if len(s.paths) == maxPaths {
		s.paths[""] = struct{}{} // said
		s.say(fmt.Sprintf("more than %d distinct task paths: %q and others share the subject of the task above them", maxPaths, task.BaseName(path)))
	}
	above := ""
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		above = path[:i]
	}
	switch {
	case strings.Count(path, "/") >= subject.MaxNames:
		return subject.In(s.ns, service, level, path)
	case above == "":
		return strings.TrimSuffix(subject.In(s.ns, service, level, ""), "-") + "="
	}
	return subject.In(s.ns, service, level, above) + ".="
}
