package entry

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

func TestLevel(t *testing.T) {
	f := func(s string, want Level, ok bool) {
		t.Helper()
		if got, gotOK := ParseLevel(s); got != want || gotOK != ok {
			t.Errorf("ParseLevel(%q) = %v, %v", s, got, gotOK)
		}
	}
	for i, l := range Levels() {
		if int(l) != i-1 {
			t.Errorf("level %v is %d", l, int(l))
		}
		f(l.String(), l, true)
		f(strings.ToUpper(l.Token()), l, true)
	}
	f("warning", Warn, true)
	f("Err", Error, true)
	f("CRITICAL", Fatal, true)
	f("", None, false)
	f("notice", None, false)
	f("criticality", None, false)
	if Level(-2).String() != "none" || Level(100).String() != "none" {
		t.Error("unknown levels must be none")
	}
	if c, ok := Warn.Compare(Info); c <= 0 || !ok {
		t.Error("warn is above info")
	}
	for _, l := range Levels() {
		if _, ok := l.Compare(None); ok {
			t.Errorf("%v compares with none", l)
		}
	}
}

const fullMeta = `{"svc":"checkout","trace":"017f22e279b07cc398c4dc0c0c07398f","path":"place-order/reserve","pos":"2.4",` +
	`"proc":"9f86d081884c7d65","seq":812,"event":"end","outcome":"failed","elapsed_ms":12.75,"n":9,` +
	`"errors":[{"type":"*fs.PathError","text":"open \"x\""},{"type":"syscall.Errno","text":"no such file"}],"stack":"main.go:1\n",` +
	`"links":["a","b"],"caller":"main.go:7","func":"main.main","logger":"db","cut":"from 9 bytes","started":"2026-11-22T16:02:11Z",` +
	`"refused":{"debug":3,"info":4,"odd":1},"late":true,"time":"2026-11-22T16:02:12Z","zzz":{"a":[1]}}`

func fullMetaValue() Meta {
	return Meta{
		Svc: "checkout", Trace: "017f22e279b07cc398c4dc0c0c07398f", Path: "place-order/reserve", Pos: "2.4",
		Proc: "9f86d081884c7d65", Seq: 812, Event: End, Outcome: task.Failed, ElapsedMS: 12.75, HasElapsed: true, N: 9,
		Errors: []ErrorInfo{{"*fs.PathError", `open "x"`}, {"syscall.Errno", "no such file"}}, Stack: "main.go:1\n",
		Links: []string{"a", "b"}, Caller: "main.go:7", Func: "main.main", Logger: "db", Cut: "from 9 bytes",
		Started: "2026-11-22T16:02:11Z", Refused: map[string]uint64{"info": 4, "debug": 3, "odd": 1}, Late: true,
		Time: "2026-11-22T16:02:12Z", Other: map[string]json.RawMessage{"zzz": json.RawMessage(`{"a":[1]}`)},
	}
}

func TestMetaRoundTrip(t *testing.T) {
	if got := string(AppendMeta(nil, fullMetaValue())); got != fullMeta {
		t.Errorf("got  %s\nwant %s", got, fullMeta)
	}
	got, err := ParseMeta([]byte(fullMeta))
	if err != nil || !reflect.DeepEqual(got, fullMetaValue()) {
		t.Errorf("ParseMeta = %+v, %v", got, err)
	}
	if got := string(AppendMeta([]byte("x"), Meta{})); got != "x{}" {
		t.Errorf("empty meta: %s", got)
	}
	if got := string(AppendMeta(nil, Meta{Svc: "s", Proc: "9f86d081884c7d65"})); got != `{"svc":"s","proc":"9f86d081884c7d65","seq":0}` {
		t.Errorf("process without a number: %s", got)
	}
}

func TestAppendMetaKeepsOtherValid(t *testing.T) {
	m := Meta{Svc: "s", Other: map[string]json.RawMessage{"pos": json.RawMessage(`"1"`), "bad": json.RawMessage(`{`), "worse": json.RawMessage(`1,"pos":2`), "a\n": json.RawMessage("1")}}
	if got := string(AppendMeta(nil, m)); Valid([]byte(got)) != nil || strings.Contains(got, "pos") && !strings.Contains(got, "worse") {
		t.Errorf("meta %s", got)
	}
	delete(m.Other, "worse")
	if got := string(AppendMeta(nil, m)); got != `{"svc":"s","a\n":1}` {
		t.Errorf("meta %s", got)
	}
}

func TestParseMetaFailure(t *testing.T) {
	f := func(object, want string) {
		t.Helper()
		e, err := Parse([]byte(`{"message":"m","dlog":` + object + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if e.HasMeta || e.Message != "m" || !strings.Contains(e.MetaErr, want) || !reflect.DeepEqual(e.Meta, Meta{}) {
			t.Errorf("dlog %s: %+v, MetaErr %q", object, e.Meta, e.MetaErr)
		}
	}
	const trace, pos = `"trace":"017f22e279b07cc398c4dc0c0c07398f"`, `"pos":"2.4"`
	f(`"text"`, "must be an object")
	f(`null`, "must be an object")
	f(`[]`, "must be an object")
	f(`{"svc":1}`, "read dlog.svc: must be a string")
	f(`{`+pos+`,"trace":"017F22E279B07CC398C4DC0C0C07398F"}`, "read dlog.trace")
	f(`{`+pos+`,"trace":7}`, "read dlog.trace")
	f(`{`+trace+`,"pos":"2..4"}`, "read dlog.pos")
	f(`{`+trace+`,"pos":""}`, "read dlog.pos")
	f(`{`+trace+`,"pos":2.4}`, "read dlog.pos")
	f(`{`+trace+`}`, "come together")
	f(`{`+pos+`}`, "come together")
	f(`{"proc":"9f86"}`, "read dlog.proc")
	f(`{"seq":-1}`, "read dlog.seq")
	f(`{"seq":1.0}`, "read dlog.seq")
	f(`{"seq":1e400}`, "read dlog.seq")
	f(`{"seq":18446744073709551616}`, "read dlog.seq")
	f(`{"n":"9"}`, "read dlog.n")
	f(`{"outcome":"great"}`, "read dlog.outcome")
	f(`{"elapsed_ms":1e999}`, "read dlog.elapsed_ms")
	f(`{"elapsed_ms":"1"}`, "read dlog.elapsed_ms")
	f(`{"errors":{}}`, "read dlog.errors")
	f(`{"errors":["x"]}`, "read dlog.errors")
	f(`{"errors":[{"type":"x"}]}`, "read dlog.errors")
	f(`{"errors":[{"type":1,"text":"x"}]}`, "read dlog.errors")
	f(`{"links":[1]}`, "read dlog.links")
	f(`{"links":"x"}`, "read dlog.links")
	f(`{"refused":[]}`, "read dlog.refused")
	f(`{"refused":{"info":-1}}`, "read dlog.refused")
	f(`{"late":1}`, "read dlog.late")
	for _, key := range metaNames {
		f(`{`+pos+`,`+trace+`,"`+key+`":[{}]}`, "read dlog."+key)
	}
}

func TestMetaNamesAreThoseOfField(t *testing.T) {
	for _, key := range metaNames {
		var r metaReader
		if err := r.field([]byte(key), Value{Raw: []byte("[{}]"), Kind: Array}); err == nil || r.m.Other != nil {
			t.Errorf("field does not know %q", key)
		}
	}
}

func TestParse(t *testing.T) {
	f := func(line string, want Entry) {
		t.Helper()
		e, err := Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		want.Raw = []byte(strings.TrimSpace(line))
		if !reflect.DeepEqual(e, want) {
			t.Errorf("Parse(%s)\ngot  %+v\nwant %+v", line, e, want)
		}
	}
	at := time.Date(2026, 11, 22, 16, 2, 11, 482193000, time.UTC)
	f(`{"level":"info","sku":"A-17","time":"2026-11-22T16:02:11.482193Z","message":"reserved","dlog":`+fullMeta+"}\n",
		Entry{Level: Info, Time: at, Message: "reserved", Meta: fullMetaValue(), HasMeta: true})
	f(` {"level":"INFO","time":"2026-11-22T17:02:11.482193+01:00","msg":"caf\u00e9"} `, Entry{Level: Info, Time: at, Message: "café"})
	f(`{}`, Entry{Level: None})
	f(`{"level":"odd","message":"a","msg":"b","error":{"a":1}}`, Entry{Level: None, Message: "a", Error: `{"a":1}`})
	f(`{"level":3,"message":null,"error":null}`, Entry{Level: None})
	f(`{"message":7,"error":"boom"}`, Entry{Level: None, Message: "7", Error: "boom"})
	f(`{"message":"first","message":"last"}`, Entry{Level: None, Message: "last"})
	f(`{"dlog":{"svc":"a"},"x":{"dlog":{"svc":"nested"}},"y":"\"dlog\":{\"svc\":\"text\"}"}`, Entry{Level: None, Meta: Meta{Svc: "a"}, HasMeta: true})
	f(`{"dlog":{"svc":"a","pos":null},"d\u006cog":{"svc":"b"}}`, Entry{Level: None, Meta: Meta{Svc: "b"}, HasMeta: true})
	f(`{"time":"yesterday","dlog":{"time":"2026-11-22T16:02:11.482193Z"}}`,
		Entry{Level: None, Time: at, Meta: Meta{Time: "2026-11-22T16:02:11.482193Z"}, HasMeta: true})
}

func TestTimes(t *testing.T) {
	f := func(fields, want string) {
		t.Helper()
		e, err := Parse([]byte("{" + fields + "}"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if !e.Time.IsZero() {
			got = e.Time.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s: time %s, want %s", fields, got, want)
		}
	}
	f(`"time":1790000000`, "2026-09-21T14:13:20Z")
	f(`"time":1790000000123`, "2026-09-21T14:13:20.123Z")
	f(`"time":1790000000123456`, "2026-09-21T14:13:20.123456Z")
	f(`"time":1790000000123456789`, "2026-09-21T14:13:20.123456789Z")
	f(`"time":1790000000.5`, "2026-09-21T14:13:20.5Z")
	f(`"timestamp":1790000000.123456`, "2026-09-21T14:13:20.123456Z")
	f(`"timestamp":1.790000000123456e9`, "2026-09-21T14:13:20.123456Z")
	f(`"time":1790000000123.4`, "2026-09-21T14:13:20.123Z")
	f(`"time":-1`, "1969-12-31T23:59:59Z")
	f(`"time":-9223372036854775808`, "1677-09-21T00:12:43.145224192Z")
	f(`"time":9223372036854775808`, "")
	f(`"time":1e300`, "")
	f(`"time":true`, "")
	f(`"time":"1790000000"`, "")
	f(`"time":"`+strings.Repeat("9", 1000)+`"`, "")
	f(`"time":[],"timestamp":1790000000`, "2026-09-21T14:13:20Z")
}

func TestParseFailure(t *testing.T) {
	f := func(line string, cause error) {
		t.Helper()
		_, err := Parse([]byte(line))
		if !errors.Is(err, cause) || !errors.Is(err, ErrNotObject) || len(err.Error()) > 200 {
			t.Errorf("Parse(%.80q): %v, want %v", line, err, cause)
		}
		if got := Valid([]byte(line)); got == nil || got.Error() != err.Error() {
			t.Errorf("Valid(%.80q) = %v, Parse says %v", line, got, err)
		}
	}
	for _, line := range []string{"", " ", "x", "null", "[]", `"a"`, "1", "\xff", "}", "\x00"} {
		f(line, ErrNotObject)
	}
	for _, line := range []string{
		"{", "{}}", "{} {}", "{}x", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":+1}`, `{"a":1e}`, `{"a":-}`, `{"a":nul}`, `{"a":True}`, `{"a":NaN}`, `{"a":"`, `{"a":"\`, `{"a":"\x"}`, `{"a":"\u12"}`,
		"{\"a\":\"\n\"}", "{\"a\":\"0123456789\x1f\"}", `{"a":[1,]}`, `{"a":[1}`, `{"a":[`, `{"a":{]}`, `{"a":1`, `{"a":"x"`, `{'a':1}`,
	} {
		f(line, ErrSyntax)
	}
	f(`{"a":`+strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth)+"}", ErrTooDeep)
	f(strings.Repeat(`{"a":`, 1<<20), ErrTooDeep)
	if err := Valid([]byte(`{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + "}")); err != nil {
		t.Error(err)
	}
}

func TestTakenWidely(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		e, err := Parse([]byte(line))
		if err != nil || e.Message != want {
			t.Errorf("Parse(%q) = %q, %v", line, e.Message, err)
		}
	}
	f("{\"message\":\"a\xffb\"}", "a\ufffdb")
	f(`{"message":"\ud800"}`, "\ufffd")
	f(`{"message":"\ud83d\ude00 \ud83dx \u00e9\/\b\f\n\r\t\"\\"}`, "\U0001f600 \ufffdx é/\b\f\n\r\t\"\\")
}

func TestField(t *testing.T) {
	e, err := Parse([]byte(`{"user":{"id":7,"name":"x"},"user.name":"y","a":{"b.c":1,"b":{"c":2}},"n":null,"dlog":{"outcome":"failed"},"u":{"v":1},"u":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := func(path, want string, ok bool) {
		t.Helper()
		v, gotOK := e.Field(path)
		if string(v.Raw) != want || gotOK != ok {
			t.Errorf("Field(%q) = %s, %v", path, v.Raw, gotOK)
		}
		if ok && string(e.Raw[v.At():][:len(v.Raw)]) != want {
			t.Errorf("Field(%q) is not at %d", path, v.At())
		}
	}
	f("user.id", "7", true)
	f("user.name", `"y"`, true)
	f("a.b.c", "2", true)
	f("n", "null", true)
	f("dlog.outcome", `"failed"`, true)
	f("u.v", "", false)
	f("user.id.x", "", false)
	f("", "", false)
	f("nothing", "", false)
}

func TestAppendLine(t *testing.T) {
	f := func(line, want string, ok bool) {
		t.Helper()
		got, gotOK := AppendLine([]byte("x"), []byte(line), Meta{Svc: "s"})
		if string(got) != "x"+want || gotOK != ok {
			t.Errorf("AppendLine(%q) = %q, %v", line, got, gotOK)
		}
	}
	f(`{"a":1}`+"\n", `{"a":1,"dlog":{"svc":"s"}}`, true)
	f(`{}`, `{"dlog":{"svc":"s"}}`, true)
	f("{ }\r\n", `{"dlog":{"svc":"s"}}`, true)
	f(`{"a":{} }`, `{"a":{},"dlog":{"svc":"s"}}`, true)
	f("", "", false)
	f("}", "", false)
	f("text", "", false)
	f(`["a"]`, "", false)
}

func TestWritersDoNotAllocate(t *testing.T) {
	m := fullMetaValue()
	m.Other = nil
	delete(m.Refused, "odd")
	line := []byte(`{"level":"info","message":"reserved"}` + "\n")
	buf := make([]byte, 0, 4096)
	f := func(name string, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("AppendMeta", func() { buf = AppendMeta(buf[:0], m) })
	f("AppendLine", func() { buf, _ = AppendLine(buf[:0], line, m) })
	f("AppendString", func() { buf = AppendString(buf[:0], "a\n\xff\"é") })
	f("ParseLevel", func() { ParseLevel("Warning") })
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(fullMeta))
	f.Add([]byte(`{"svc":"\ud800","x":1}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		m, err := ParseMeta(object)
		if err != nil {
			return
		}
		text := AppendMeta(nil, m)
		back, err := ParseMeta(text)
		if err != nil {
			t.Fatalf("%s became %s: %v", object, text, err)
		}
		m.Links, back.Links = orNil(m.Links), orNil(back.Links)
		m.Errors, back.Errors = orNil(m.Errors), orNil(back.Errors)
		if len(m.Refused) == 0 {
			m.Refused = nil
		}
		if m.Proc == "" && m.Seq == 0 && back.Seq != 0 || !reflect.DeepEqual(m, back) {
			t.Fatalf("%s became %s\n%+v\n%+v", object, text, m, back)
		}
	})
}

func orNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func FuzzString(f *testing.F) {
	f.Add("a\"\\\n\x00\xff\u2028\U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		text := AppendString(nil, s)
		var back string
		if err := json.Unmarshal(text, &back); err != nil || back != string([]rune(s)) {
			t.Fatalf("%q became %s, read as %q, %v", s, text, back, err)
		}
		v := Value{Raw: text, Kind: String}
		if got := string(v.Text(nil)); got != back {
			t.Fatalf("%s: %q, want %q", text, got, back)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := []byte(`{"level":"info","sku":"A-17","count":3,"url":"/orders/17","time":"2026-11-22T16:02:11.482193Z","message":"reserved","dlog":{"svc":"checkout","trace":"017f22e279b07cc398c4dc0c0c07398f","path":"place-order/reserve","pos":"2.4","proc":"9f86d081884c7d65","seq":812}}`)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(line)
	}
}

func BenchmarkAppendMeta(b *testing.B) {
	m := Meta{Svc: "checkout", Trace: "017f22e279b07cc398c4dc0c0c07398f", Path: "place-order/reserve", Pos: "2.4", Proc: "9f86d081884c7d65", Seq: 812}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMeta(buf[:0], m)
	}
}
