package store

import (
	"hash/crc32"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

// subjectInfo is a subject of a file, taken apart once.
type subjectInfo struct {
	id      int64
	text    string
	subj    subject.Subject
	service string
	path    string // of the subject, "" where it is lossy
	isTask  bool
}

func newSubject(id int64, text string) *subjectInfo {
	s := &subjectInfo{id: id, text: text}
	subj, err := subject.Parse(text)
	if err != nil {
		return s // foreign: no service, no level, no path
	}
	s.subj, s.service, s.isTask = subj, subj.Service(), subj.Level == subject.TaskLevel
	if !subj.Lossy {
		s.path = subj.Path()
	}
	return s
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(text string) int64 { return int64(crc32.Checksum([]byte(text), castagnoli)) }
