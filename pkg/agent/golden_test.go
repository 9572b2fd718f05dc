package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// frozen is the clock and the zone of the goldens.
var frozen = calendar{
	now:  func() time.Time { return time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC) },
	zone: time.FixedZone("CET", 3600),
}

// TestGolden reads testdata/*.txtar: "input" (raw) or "escaped" (Go's escapes, one line of input each) in the format that the comment names
// ("format: json"), and "want", what becomes of it. UPDATE=1 writes "want".
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	format := Auto
	for line := range strings.SplitSeq(string(ar.Comment), "\n") {
		if name, ok := strings.CutPrefix(line, "format: "); ok {
			if format, err = ParseFormat(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	var input, want []byte
	for _, f := range ar.Files {
		switch f.Name {
		case "input":
			input = append(input, f.Data...)
		case "escaped":
			input = append(input, unescapeLines(t, f.Data)...)
		case "want":
			want = f.Data
		}
	}
	got := decodeAll(format, input, len(input))
	for size := range []int{1, 7} { // however the input is torn
		if again := decodeAll(format, input, size+1); !bytes.Equal(got, again) {
			t.Errorf("in pieces of %d bytes:\n%s", size+1, cmp.Diff(string(got), string(again)))
		}
	}
	if os.Getenv("UPDATE") != "" {
		ar.Files = append(ar.Files[:0:0], ar.Files...)
		if last := &ar.Files[len(ar.Files)-1]; last.Name == "want" {
			last.Data = got
		} else {
			ar.Files = append(ar.Files, txtar.File{Name: "want", Data: got})
		}
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func unescapeLines(t *testing.T, data []byte) []byte {
	t.Helper()
	var out []byte
	for line := range strings.Lines(string(data)) {
		var b strings.Builder
		for rest := strings.TrimSuffix(line, "\n"); rest != ""; {
			r, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if multibyte {
				b.WriteRune(r)
			} else {
				b.WriteByte(byte(r))
			}
			rest = tail
		}
		out = append(append(out, b.String()...), '\n')
	}
	return out
}

// decodeAll returns what becomes of the input, read in pieces: a line for each entry, with the dlog key that it would get but for service, process and number.
func decodeAll(format Format, input []byte, size int) []byte {
	var out []byte
	dec := newDecoder(format, frozen, "", func(r *draft) { out = append(appendDraft(out, r), '\n') })
	split := splitter{line: dec.line}
	for len(input) > 0 {
		n := min(size, len(input))
		split.write(input[:n])
		input = input[n:]
	}
	split.end()
	dec.flush()
	return out
}

func appendDraft(dst []byte, r *draft) []byte {
	if r.kept {
		return append(fmt.Appendf(dst, "%s kept ", r.level), r.body...)
	}
	dst = append(append(dst, r.level.String()...), ' ')
	if r.place == eliot {
		line, _ := entry.AppendLine(nil, r.body, r.meta)
		return append(dst, line...)
	}
	dst = append(dst, bytes.TrimRight(r.body[:len(r.body)-1], " ")...)
	keys := r.keys
	if r.timeless {
		keys = append(keys[:len(keys):len(keys)], `,"time":"now"`...)
	}
	if len(keys) > 0 {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `"dlog":{`...), keys[1:]...), '}')
	}
	return append(dst, '}')
}
