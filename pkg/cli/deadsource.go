package cli

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// readDead reads the dead letters. What they hold may be anything, so each line becomes an entry about it: the line as the
// message, and why it is there, by which rule, and where it came from as fields, which conditions can ask for.
func (n *natsSource) readDead(ctx context.Context, cfg stream.ReadConfig, fn func(item) error) error {
	cfg.Raw = true
	var buf []byte
	return stream.Read(ctx, n.js, cfg, func(p stream.Pack) error {
		subj, err := subject.Parse(p.Subject)
		if err != nil {
			return nil // nobody but routers and sinks writes here
		}
		for _, text := range deadTexts(p) {
			buf = appendDead(buf[:0], p, text)
			if err := fn(item{subj: subj, line: buf, at: p.Time}); err != nil {
				return err
			}
		}
		return nil
	})
}

// deadTexts takes a letter apart into lines where it is text, and leaves it whole where it is not.
func deadTexts(p stream.Pack) []string {
	if p.Header.Get(stream.HdrEncoding) != "" || !utf8.Valid(p.Data) {
		return []string{string(p.Data)}
	}
	var lines []string
	for line := range stream.Lines(p.Data) {
		lines = append(lines, string(line))
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

func appendDead(dst []byte, p stream.Pack, text string) []byte {
	dst = append(dst, `{"time":"`...)
	dst = p.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, '"')
	field := func(key, value string) {
		if value == "" {
			return
		}
		dst = append(dst, `,"`...)
		dst = append(dst, key...)
		dst = append(dst, `":`...)
		dst = entry.AppendString(dst, value)
	}
	reason, why, _ := strings.Cut(p.Header.Get(stream.HdrReason), ": ")
	field("reason", reason)
	field("why", why)
	field("rule", p.Header.Get(stream.HdrRule))
	field("subject", p.Header.Get(stream.HdrSubject))
	field("encoding", p.Header.Get(stream.HdrEncoding))
	field("content_type", p.Header.Get(stream.HdrContentType))
	if seq, err := strconv.ParseUint(p.Header.Get(stream.HdrSeq), 10, 64); err == nil {
		dst = append(dst, `,"sequence":`...)
		dst = strconv.AppendUint(dst, seq, 10)
	}
	dst = append(dst, `,"message":`...)
	dst = entry.AppendString(dst, text)
	return append(dst, '}')
}
