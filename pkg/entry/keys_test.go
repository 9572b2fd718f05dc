package entry

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScan(t *testing.T) {
	f := func(line string, keys, want string) {
		t.Helper()
		k := CompileKeys(strings.Fields(keys))
		slots := k.NewSlots()
		if err := k.Scan([]byte(line), slots); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, v := range slots {
			if v.Present() {
				got = append(got, string(v.Raw))
				if line[v.At():][:len(v.Raw)] != string(v.Raw) {
					t.Errorf("%s of %s is not at %d", k.Names()[i], line, v.At())
				}
			} else {
				got = append(got, "-")
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s of %s: %s, want %s", keys, line, s, want)
		}
	}
	f(`{"a":1,"b":"x","c":null,"d":[1,{}],"e":{"f":2}}`, "a b c d e e.f g", `1 "x" null [1,{}] {"f":2} 2 -`)
	f(`{"a" : 1 , "b":true}`, "b a", "true 1")
	f(`{}`, "a", "-")
	f(`{"a":1}`, "", "")
	f(`{"a":1,"a":2}`, "a", "2")
	f(`{"a":1}`, "a b a", "1 - 1")
	f(`{"user":{"id":7}}`, "user.id", "7")
	f(`{"user.id":8}`, "user.id", "8")
	f(`{"user.id":8,"user":{"id":7}}`, "user.id user", `8 {"id":7}`)
	f(`{"user":{"id":7},"user.id":8}`, "user.id", "8")
	f(`{"user":{"id":7},"user":{"x":1}}`, "user.id user.x", "- 1")
	f(`{"user":{"id":7},"user":3}`, "user.id user", "- 3")
	f(`{"user.id":8,"user":{"id":7},"user":3}`, "user.id", "8")
	f(`{"a":{"b":{"c":1},"b":{"d":2}}}`, "a.b.c a.b.d a.b", `- 2 {"d":2}`)
	f(`{"a":{"b.c":1}}`, "a.b.c", "-")
	f(`{"x":{"a":1},"y":[{"a":2}],"z":"\"a\":3"}`, "a", "-")
	f(`{"\u0061":1,"a\u002eb":2}`, "a a.b", "1 2")
	f(`{"":1,"a":{"":2}}`, "a.", "2")
	f(`{"a":{"a":{"a":1}}}`, "a a.a a.a.a", `{"a":{"a":1}} {"a":1} 1`)
	f("\t{\"a\":1}\r\n", "a", "1")
}

func TestScanFailureClearsSlots(t *testing.T) {
	k := CompileKeys([]string{"a", "b"})
	slots := k.NewSlots()
	if err := k.Scan([]byte(`{"a":1,"b":`), slots); !errors.Is(err, ErrSyntax) || slots[0].Present() {
		t.Errorf("error %v, slots %v", err, slots)
	}
	if err := k.Scan([]byte(`{}`), slots[:1]); !errors.Is(err, ErrSlots) {
		t.Errorf("error %v", err)
	}
	if k.Slot("b") != 1 || k.Slot("c") != -1 || k.Len() != 2 {
		t.Error("slots are not those of the keys")
	}
}

func TestManyKeys(t *testing.T) {
	var keys []string
	line := []byte("{")
	for i := range 500 {
		key := strings.Repeat("k", i%7) + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		keys = append(keys, key)
		line = append(AppendString(line, key), ":1,"...)
	}
	line[len(line)-1] = '}'
	k := CompileKeys(keys)
	slots := k.NewSlots()
	if err := k.Scan(line, slots); err != nil {
		t.Fatal(err)
	}
	for i, v := range slots {
		if n, ok := v.Number(); !ok || n != 1 {
			t.Errorf("%s is %s", keys[i], v.Raw)
		}
	}
}

func TestValue(t *testing.T) {
	f := func(raw string, kind Kind, text string, number float64, isNumber bool) {
		t.Helper()
		v, ok := Lookup([]byte(`{"a":`+raw+`}`), "a")
		n, gotNumber := v.Number()
		if !ok || v.Kind != kind || string(v.Text(nil)) != text || n != number || gotNumber != isNumber {
			t.Errorf("%s: kind %d, text %q, number %v, %v", raw, v.Kind, v.Text(nil), n, gotNumber)
		}
	}
	f(`"a\nb"`, String, "a\nb", 0, false)
	f(`"12"`, String, "12", 0, false)
	f(`""`, String, "", 0, false)
	f(`-1.5e3`, Number, "-1.5e3", -1500, true)
	f(`0`, Number, "0", 0, true)
	f(`true`, Bool, "true", 0, false)
	f(`null`, Null, "null", 0, false)
	f(`{"b":1}`, Object, `{"b":1}`, 0, false)
	f(`[1]`, Array, `[1]`, 0, false)
	if _, ok := (Value{Raw: []byte("1e999"), Kind: Number}).Number(); ok {
		t.Error("1e999 is a number")
	}
	if v := (Value{}); v.Present() || v.Text(nil) != nil {
		t.Error("the zero value is there")
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	k := CompileKeys(benchKeys)
	slots := k.NewSlots()
	line := []byte(benchLine)
	escaped := []byte(`{"us\u0065r":{"i\u0064":"\u00e9\n"},"duration_ms":512.25}`)
	buf := make([]byte, 0, 256)
	f := func(name string, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("Scan", func() { _ = k.Scan(line, slots) })
	f("Scan of escapes", func() {
		_ = k.Scan(escaped, slots)
		buf = slots[k.Slot("user.id")].Text(buf[:0])
		_, _ = slots[k.Slot("duration_ms")].Number()
	})
	f("Valid", func() { _ = Valid(line) })
	f("Lookup", func() { Lookup(line, "user.id") })
	if string(buf) != "é\n" {
		t.Errorf("text %q", buf)
	}
}

// oracle finds a key with encoding/json.
func oracle(t *testing.T, object []byte, key string) []byte {
	t.Helper()
	members := decode(t, object)
	if raw, ok := members[key]; ok {
		return raw
	}
	for {
		name, rest, more := strings.Cut(key, ".")
		raw, ok := members[name]
		if !more || !ok {
			return raw
		}
		if raw[0] != '{' {
			return nil
		}
		members, key = decode(t, raw), rest
	}
}

func decode(t *testing.T, object []byte) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// depth is how many containers lie in one another in valid JSON.
func depth(line []byte) (deepest int) {
	now, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			now++
			deepest = max(deepest, now)
		case !quoted && (c == '}' || c == ']'):
			now--
		}
	}
	return deepest
}

func checkValue(t *testing.T, v Value) {
	t.Helper()
	var want any
	err := json.Unmarshal(v.Raw, &want)
	switch want := want.(type) {
	case string:
		if got := string(v.Text(nil)); v.Kind != String || got != want {
			t.Fatalf("%s: text %q, want %q", v.Raw, got, want)
		}
	case float64:
		if got, ok := v.Number(); v.Kind != Number || !ok || got != want {
			t.Fatalf("%s: number %v, %v", v.Raw, got, ok)
		}
	case bool:
		if got, ok := v.Bool(); !ok || got != want {
			t.Fatalf("%s: bool %v, %v", v.Raw, got, ok)
		}
	case map[string]any:
		if v.Kind != Object {
			t.Fatalf("%s: kind %d", v.Raw, v.Kind)
		}
	case []any:
		if v.Kind != Array {
			t.Fatalf("%s: kind %d", v.Raw, v.Kind)
		}
	case nil:
		if err == nil && v.Kind != Null {
			t.Fatalf("%s: kind %d", v.Raw, v.Kind)
		}
	}
}

// FuzzScan holds Scan, Valid and Lookup against encoding/json.
func FuzzScan(f *testing.F) {
	f.Add([]byte(benchLine), "user.id")
	f.Add([]byte(`{"user":{"id":7},"user.id":8,"user":3}`), "user.id")
	f.Add([]byte(`{"a":{"b":{"c":"\ud83d\ude00"}},"a\u002eb.c":[1e5,-0.1,true,null]}`), "a.b.c")
	f.Add([]byte("{\"a\":\"0123456\\\\7\xff\"} "), "a")
	f.Add([]byte(`{"":{"":{}}}`), ".")
	f.Fuzz(func(t *testing.T, line []byte, key string) {
		object := bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))
		want := object && json.Valid(line) && depth(line) <= MaxDepth
		k := CompileKeys([]string{key, "level", "user.id", "a", "a.b", "a.b.c"})
		slots := k.NewSlots()
		if err := k.Scan(line, slots); (err == nil) != want || (Valid(line) == nil) != want {
			t.Fatalf("%q: %v, want %v", line, err, want)
		}
		_, _ = Parse(line)
		if !want || bytes.Contains(line, []byte("\ufffd")) || bytes.Contains(line, []byte(`\u`)) && !utf8.ValidString(key) || !utf8.Valid(line) {
			return // encoding/json repairs names before it compares them
		}
		for i, name := range k.Names() {
			raw := oracle(t, line, name)
			if !bytes.Equal(raw, slots[i].Raw) {
				t.Fatalf("%q in %q: %q, encoding/json says %q", name, line, slots[i].Raw, raw)
			}
			if v, ok := Lookup(line, name); ok != (raw != nil) || !bytes.Equal(raw, v.Raw) || v.Kind != slots[i].Kind || v.At() != slots[i].At() {
				t.Fatalf("Lookup of %q in %q: %q", name, line, v.Raw)
			}
			if raw != nil {
				checkValue(t, slots[i])
			}
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(benchLine))
	f.Add([]byte(`[1,{"a":2},"x"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, m := 0, 0
		for name, value := range Members(text) {
			if name.Kind != String || !value.Present() {
				t.Fatalf("%q: member %v, %v", text, name, value)
			}
			n++
		}
		for v := range Elements(text) {
			if !v.Present() {
				t.Fatalf("%q: element %v", text, v)
			}
			m++
		}
		var elements []json.RawMessage
		if json.Unmarshal(text, &elements) == nil && depth(text) <= MaxDepth && m != len(elements) {
			t.Fatalf("%q: %d elements, want %d", text, m, len(elements))
		}
		if n > 0 && m > 0 {
			t.Fatalf("%q is an object and an array", text)
		}
	})
}

var benchKeys = []string{"level", "message", "time", "user.id", "duration_ms", "region", "card", "email", "dlog.outcome", "dlog.path", "status", "sku"}

const benchLine = `{"level":"info","sku":"A-17","status":200,"duration_ms":512.25,"user":{"id":"u-4711","name":"somebody"},` +
	`"url":"/orders/17/items?sort=price&page=3","time":"2026-11-22T16:02:11.482193Z","message":"the items were reserved in the second warehouse",` +
	`"dlog":{"svc":"checkout","trace":"017f22e279b07cc398c4dc0c0c07398f","path":"place-order/reserve","pos":"2.4","proc":"9f86d081884c7d65","seq":812}}`

func BenchmarkScan(b *testing.B) {
	k := CompileKeys(benchKeys)
	slots := k.NewSlots()
	line := []byte(benchLine)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		_ = k.Scan(line, slots)
	}
}

func BenchmarkValid(b *testing.B) {
	line := []byte(benchLine)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_ = Valid(line)
	}
}

// BenchmarkValidStandard is the yardstick beside BenchmarkValid.
func BenchmarkValidStandard(b *testing.B) {
	line := []byte(benchLine)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		json.Valid(line)
	}
}
