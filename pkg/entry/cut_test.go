package entry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const identity = `"dlog":{"svc":"s","trace":"017f22e279b07cc398c4dc0c0c07398f","path":"a/b","pos":"2.4","proc":"9f86d081884c7d65","seq":812}`

func TestCutLine(t *testing.T) {
	f := func(line string, max int, cut string) Entry {
		t.Helper()
		got := CutLine([]byte("x"), []byte(line), max)[1:]
		if len(got) > max {
			t.Errorf("%d bytes for at most %d", len(got), max)
		}
		e, err := Parse(got)
		if err != nil || !json.Valid(got) {
			t.Fatalf("%v: %.300q", err, got)
		}
		if e.Meta.Cut != cut {
			t.Errorf("dlog.cut %q, want %q", e.Meta.Cut, cut)
		}
		if strings.Contains(line, identity) && (e.Meta.Pos != "2.4" || e.Meta.Seq != 812 || e.Meta.Path != "a/b") {
			t.Errorf("the entry lost its place: %+v", e.Meta)
		}
		return e
	}
	long := strings.Repeat("é\\n", 50000) // 200,000 bytes
	line := `{"level":"info","short":"stays","body":"` + long + `","list":["` + long + `"],"message":"m",` + identity + `}`
	e := f(line, 40000, fmt.Sprintf("from %d bytes: body, list", len(line)))
	if v, _ := e.Field("short"); string(v.Raw) != `"stays"` {
		t.Errorf("short is %s", v.Raw)
	}
	body, _ := e.Field("body")
	list, _ := e.Field("list")
	if d := len(body.Raw) + 2 - len(list.Raw); d < -8 || d > 8 || len(e.Raw) < 39000 || !strings.HasSuffix(string(body.Raw), `…"`) {
		t.Errorf("body has %d bytes, list %d, the line %d", len(body.Raw), len(list.Raw), len(e.Raw))
	}
	f(line, len(line), "")
	f(line+"\n", len(line), "")
	f(`{"message":"`+long+`"}`, MinCut, "from 200014 bytes: message")
	f(`{"message":"`+long+`","dlog":7}`, MinCut, "from 200023 bytes: message")
	f(`{"message":"`+long+`","dlog":{}}`, MinCut, "from 200024 bytes: message")
	f(`{"dlog":{"svc":"s"},"message":"`+long+`"}`, MinCut, "from 200033 bytes: message")
	f(`{"message":"`+strings.Repeat(`\ud83d\ude00`, 20000)+`"}`, MinCut, "from 240014 bytes: message")
	stack := `{"message":"m",` + strings.Replace(identity, "{", `{"stack":"`+long+`","errors":[{"type":"t","text":"`+long+`"}],`, 1) + `}`
	f(stack, MinCut, fmt.Sprintf("from %d bytes: stack, errors", len(stack)))
}

func TestCutLineToItsEssence(t *testing.T) {
	f := func(line string, message int) {
		t.Helper()
		got := CutLine(nil, []byte(line), MaxLine)
		e, err := Parse(got)
		if err != nil || len(got) > MaxLine {
			t.Fatalf("%v, %d bytes", err, len(got))
		}
		if want := fmt.Sprintf("from %d bytes: all but the essence", len(line)); e.Meta.Cut != want {
			t.Errorf("dlog.cut %q, want %q", e.Meta.Cut, want)
		}
		if e.Level != Warn || e.Time.IsZero() || len(e.Message) < message || e.Meta.Pos != "2.4" || e.Meta.Seq != 812 {
			t.Errorf("%.300s", got)
		}
	}
	const head = `{"level":"warn","time":1790000000,`
	many := strings.Repeat(`"k":1,`, 100000)
	f(head+many+`"message":"m",`+identity+"}", 1)
	f(head+many+`"message":"`+strings.Repeat("m", 300000)+`",`+identity+"}", 70000)
	f(head+`"message":"m","x":`+strings.Repeat(" ", 300000)+`1,`+identity+"}", 1)
	f(head+`"message":"m",`+strings.Replace(identity, "{", `{"other":[`+strings.Repeat("1,", 200000)+`1],`, 1)+"}", 1)
	long := strings.Replace(identity, `"a/b"`, `"`+strings.Repeat(`\u0001`, 100000)+`"`, 1)
	f(head+`"message":"m",`+strings.Replace(long, `"s"`, `"`+strings.Repeat("s", 1000)+`"`, 1)+"}", 1)
}

func TestCutLineOfNoObject(t *testing.T) {
	line := bytes.Repeat([]byte("x"), 1<<20)
	if got := CutLine(nil, line, MaxLine); len(got) != MaxLine || Valid(got) == nil {
		t.Errorf("%d bytes", len(got))
	}
	half := append([]byte(`{"a":"`), line...)
	if got := CutLine(nil, half, 100); len(got) != MinCut || Valid(got) == nil {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzCutLine makes lines long by repeating their strings, and cuts them.
func FuzzCutLine(f *testing.F) {
	f.Add([]byte(`{"message":"abcd\ud83d\ude00\n","a":["x"],`+identity+`}`), 4000, 20000)
	f.Add([]byte(`{"dlog":{"stack":"abcd","errors":[{"text":"é"}]}}`), 10000, 0)
	f.Add([]byte(`{"a":"x","dlog":1,"dlog":{}}`), 60000, 17000)
	f.Fuzz(func(t *testing.T, line []byte, repeat, max int) {
		if Valid(line) != nil || len(line) > 200 {
			return
		}
		line = lengthened(line, repeat&0x3fff)
		max = max & 0xffff
		got := CutLine(nil, line, max)
		if len(got) > max && len(got) > MinCut {
			t.Fatalf("%d bytes for at most %d", len(got), max)
		}
		if err := Valid(got); err != nil {
			t.Fatalf("%v: %.500q from %.500q", err, got, line)
		}
		before, _ := Parse(line)
		after, _ := Parse(got)
		if before.HasMeta && (!after.HasMeta || after.Meta.Pos != before.Meta.Pos || after.Meta.Proc != before.Meta.Proc || after.Meta.Seq != before.Meta.Seq) {
			t.Fatalf("%.300q lost its place in %.300q", line, got)
		}
	})
}

// lengthened repeats the inside of every string that is a value.
func lengthened(line []byte, times int) []byte {
	var out []byte
	at := 0
	for i := 0; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		s := scan{b: line, at: i}
		s.string()
		end := s.at - 1
		s.space()
		if s.peek() != ':' {
			out = append(out, line[at:i+1]...)
			out = append(out, bytes.Repeat(line[i+1:end], min(times, 100000/max(end-i, 1))+1)...)
			at = end
		}
		i = end
	}
	return append(out, line[at:]...)
}
