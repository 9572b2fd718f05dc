package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// corpus adds the lines of the goldens.
func corpus(f *testing.F, add func(line []byte)) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(data).Files {
			for line := range bytes.Lines(part.Data) {
				add(bytes.TrimSuffix(line, []byte("\n")))
			}
		}
	}
}

// FuzzDecoder: whatever comes in, every entry is one valid JSON object on one line, nothing depends on how the input was torn, and text that
// was not blank is not lost.
func FuzzDecoder(f *testing.F) {
	corpus(f, func(line []byte) { f.Add(append(line, "\nnext\n"...), uint8(0), uint8(3)) })
	f.Fuzz(func(t *testing.T, input []byte, format, size uint8) {
		form := Format(format % uint8(len(formatNames)))
		count, blank := 0, true
		dec := newDecoder(form, frozen, "out", func(r *draft) {
			count++
			if err := entry.Valid(r.body); err != nil {
				t.Errorf("%q is no entry: %v", r.body, err)
			}
			if bytes.IndexByte(r.body, '\n') >= 0 || len(r.keys) > 0 && !json.Valid(append(append([]byte("{"), r.keys[1:]...), '}')) {
				t.Errorf("%q with %q", r.body, r.keys)
			}
			if r.level < entry.Trace || r.level > entry.None {
				t.Errorf("level %d", r.level)
			}
		})
		split := splitter{line: func(line []byte, size int) {
			if len(bytes.Trim(bytes.TrimPrefix(line, byteOrderMark), " \t\r")) > 0 {
				blank = false
			}
			dec.line(line, size)
		}}
		split.write(input)
		split.end()
		dec.flush()
		if count == 0 && !blank {
			t.Errorf("nothing became of %q", input)
		}
		if whole, torn := decodeAll(form, input, len(input)+1), decodeAll(form, input, int(size)+1); !bytes.Equal(whole, torn) {
			t.Errorf("%q\ntorn: %q", whole, torn)
		}
	})
}

// FuzzJSON: a member that is not renamed keeps its bytes, and level and time are what their names promise.
func FuzzJSON(f *testing.F) {
	corpus(f, func(line []byte) { f.Add(line) })
	scan := newJSONScan()
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.Trim(line, " \t\r\n")
		if len(line) == 0 || line[0] != '{' || !scan.scan(line) {
			return
		}
		var r draft
		cal := frozen
		scan.normalise(&r, line, &cal, nil)
		before, after := 0, 0
		for range entry.Members(line) {
			before++
		}
		for range entry.Members(r.body) {
			after++
		}
		if after < before || after > before+4 {
			t.Errorf("%d members of %q, %d of %q", before, line, after, r.body)
		}
		e, err := entry.Parse(r.body)
		if err != nil {
			t.Fatalf("%q: %v", r.body, err)
		}
		if v, ok := entry.Lookup(r.body, "level"); ok && v.Kind == entry.String && e.Level != entry.None && e.Level != r.level {
			t.Errorf("level %s in %q, %s beside it", e.Level, r.body, r.level)
		}
	})
}

func FuzzLogfmt(f *testing.F) {
	corpus(f, func(line []byte) { f.Add(line, true) })
	cal := frozen
	f.Fuzz(func(t *testing.T, line []byte, strict bool) {
		x := logfmt{cal: &cal, strict: strict}
		var r draft
		if !x.parse(&r, line, nil) {
			return
		}
		if err := entry.Valid(r.body); err != nil {
			t.Errorf("%q of %q: %v", r.body, line, err)
		}
	})
}

// FuzzHeader: the parts of a header are parts of the line, and a message is never longer.
func FuzzHeader(f *testing.F) {
	corpus(f, func(line []byte) { f.Add(line) })
	cal := frozen
	f.Fuzz(func(t *testing.T, line []byte) {
		h := cal.read(line)
		if !bytes.HasSuffix(line, h.message) {
			t.Errorf("message %q is not the end of %q", h.message, line)
		}
		for _, part := range [][]byte{h.word, h.logger, h.caller, h.pid, h.groups} {
			if !bytes.Contains(line, part) {
				t.Errorf("%q is not part of %q", part, line)
			}
		}
		if !h.known() && !bytes.Equal(h.message, line) {
			t.Errorf("no header, and the message is %q", h.message)
		}
	})
}

// FuzzTime: what is read as a time can be written and read again.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-11-22T16:02:11.482Z", "2026/11/22 16:02:11,5 +0100", "Nov  2 16:02:11", "4:02PM", "16:02:11.1"} {
		f.Add([]byte(s))
	}
	cal := frozen
	f.Fuzz(func(t *testing.T, text []byte) {
		at, n, ok := cal.leading(text)
		if !ok {
			return
		}
		if n < 6 || n > len(text) {
			t.Fatalf("%d bytes of %q", n, text)
		}
		again, err := time.Parse(time.RFC3339Nano, string(appendTime(nil, at)))
		if at.UTC().Year() > 0 && at.UTC().Year() < 10000 && (err != nil || !again.Equal(at)) {
			t.Errorf("%q is %v, written %v: %v", text, at, again, err)
		}
	})
}

func FuzzLevel(f *testing.F) {
	for _, s := range []string{"INFO", "warn+2", "LEVEL(-3)", "Level 25", "30", "\x1b[31mERRO\x1b[0m"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, word []byte) {
		if g, ok := gradeOf(word); ok != (g.level != entry.None) || g.level < entry.Trace || g.level > entry.None {
			t.Errorf("%q is %v, %v", word, g, ok)
		}
	})
}

// FuzzUnquote: what Go and JSON quote comes back.
func FuzzUnquote(f *testing.F) {
	f.Add("a \"b\" \\ \n \x01 é 😀")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		got, rest, ok := unquote(nil, append([]byte(entry.AppendString(nil, s)), " x"...))
		if !ok || string(got) != s || string(rest) != " x" {
			t.Errorf("%q comes back as %q, %q", s, got, rest)
		}
	})
}
