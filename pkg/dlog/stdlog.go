package dlog

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// StdLog returns a writer for the standard log package, whose lines become entries of the level, outside of any task (that package knows no context):
//
//	log.SetFlags(0)
//	log.SetOutput(d.StdLog(zerolog.InfoLevel))
func (c *Client) StdLog(level zerolog.Level) io.Writer { return &stdLog{c: c, level: level} }

// stdLog makes an entry of each line.
type stdLog struct {
	c     *Client
	level zerolog.Level
}

// Write implements [io.Writer]. The log package calls it once per line.
func (s *stdLog) Write(text []byte) (int, error) {
	if s.c == nil || s.level < s.c.level && s.c.level != zerolog.NoLevel {
		return len(text), nil
	}
	b := []byte{'{'}
	if s.level != zerolog.NoLevel && zerolog.LevelFieldName != "" {
		b = append(entry.AppendString(b, zerolog.LevelFieldName), ':')
		b = append(entry.AppendString(b, zerolog.LevelFieldMarshalFunc(s.level)), ',')
	}
	b = append(entry.AppendString(b, zerolog.TimestampFieldName), ':', '"')
	b = append(s.c.tasks.AppendTime(b, time.Now()), '"', ',')
	b = append(entry.AppendString(b, zerolog.MessageFieldName), ':')
	b = entry.AppendString(b, string(bytes.TrimRight(text, "\r\n")))
	s.c.tasks.Write(context.Background(), s.level, append(b, '}', '\n'))
	return len(text), nil
}
