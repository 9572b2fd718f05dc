package stream

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
)

func TestLines(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		var got []string
		for line := range Lines([]byte(in)) {
			got = append(got, string(line))
		}
		if !slices.Equal(got, want) {
			t.Errorf("Lines(%q) = %q, want %q", in, got, want)
		}
		if n := CountLines([]byte(in)); n != len(want) {
			t.Errorf("CountLines(%q) = %d, want %d", in, n, len(want))
		}
	}
	f("")
	f("\n\n \r\n\t")
	f("{}", "{}")
	f("{}\n", "{}")
	f("a\r\nb\n\n  \nc", "a", "b", "c")
	f("\r\r\n")
	f(" {}", " {}")
}

func TestLinesStopsAndAllocatesNothing(t *testing.T) {
	data := []byte("a\nb\nc\n")
	for line := range Lines(data) {
		if string(line) == "b" {
			break
		}
		if string(line) == "c" {
			t.Fatal("went on after break")
		}
	}
	if n := testing.AllocsPerRun(100, func() { CountLines(data) }); n != 0 {
		t.Errorf("counting lines allocates %v times", n)
	}
}

func TestPackRoundTrip(t *testing.T) {
	data := []byte(strings.Repeat(`{"level":"info","message":"hi"}`+"\n", 50))
	for _, enc := range []string{EncodingNone, EncodingS2, EncodingZstd} {
		want := Pack{Subject: "dlog.in.a.info.-", ID: "k.1.00", Data: data, Count: 50, Again: true, Total: "r 7", Encoding: enc}
		var m nats.Msg
		want.Msg(&m)
		if enc != "" && len(m.Data) >= len(data) {
			t.Errorf("%s: body did not shrink", enc)
		}
		got, err := DecodePack(m.Subject, m.Header, m.Data, Limits{})
		if err != nil {
			t.Fatalf("%q: %v", enc, err)
		}
		if !bytes.Equal(got.Data, data) || got.Subject != want.Subject || got.ID != want.ID || got.Count != 50 || !got.Again || got.Total != want.Total || got.Encoding != enc {
			t.Errorf("%q: got %+v", enc, got)
		}
	}
}

func TestMsgUsedAgain(t *testing.T) {
	m := nats.Msg{Header: nats.Header{"Trace": {"x"}}}
	(&Pack{Subject: "a", ID: "1", Count: 2, Again: true, Total: "r 1", Data: []byte("{}"), Encoding: EncodingS2}).Msg(&m)
	(&Pack{Subject: "b", ID: "2", Data: []byte("{}\n")}).Msg(&m)
	if m.Subject != "b" || string(m.Data) != "{}\n" || len(m.Header) != 2 || m.Header.Get(HdrMsgID) != "2" || m.Header.Get("Trace") != "x" {
		t.Errorf("second pack left %+v", m)
	}
}

func TestPlainLineIsAPackOfOne(t *testing.T) {
	p, err := DecodePack("dlog.in.svc.info.-", nil, []byte(`{"level":"info","message":"hi"}`), Limits{})
	if err != nil || p.Count != 1 || p.Again || p.ID != "" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestDecodePackRefuses(t *testing.T) {
	f := func(want Reason, data string, header ...string) {
		t.Helper()
		h := nats.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		_, err := DecodePack("s", h, []byte(data), Limits{Decoded: 1000})
		if got := ReasonOf(err); got != want {
			t.Errorf("%q %.20q: reason %q (%v), want %q", header, data, got, err, want)
		}
	}
	bomb := string(s2.Encode(nil, make([]byte, 1<<20)))
	var stream bytes.Buffer
	w := s2.NewWriter(&stream)
	w.Write(make([]byte, 1<<20))
	w.Close()
	zip := Pack{Data: make([]byte, 1<<20), Encoding: EncodingZstd}
	var m nats.Msg
	zip.Msg(&m)

	f("", "{}", HdrContentType, "application/x-ndjson")
	f("", "{}", HdrContentType, "Application/X-NDJSON ; v=1; charset=utf-8")
	f("", "{}", HdrEncoding, "identity", HdrCount, "1")
	f(ReasonType, "{}", HdrContentType, "application/cbor-seq")
	f(ReasonType, "{}", HdrContentType, "application/x-ndjson; v=2")
	f(ReasonType, "{}", HdrContentType, ";")
	f(ReasonSize, "{}", HdrCount, "2")
	f(ReasonSize, "{}", HdrCount, "one")
	f(ReasonSize, strings.Repeat("x", 1001))
	f(ReasonSize, bomb, HdrEncoding, "s2")
	f(ReasonSize, stream.String(), HdrEncoding, "s2")
	f(ReasonSize, string(m.Data), HdrEncoding, "zstd")
	f(ReasonEncoding, "{}", HdrEncoding, "gzip")
	f(ReasonEncoding, "{}", HdrEncoding, "s2")
	f(ReasonEncoding, stream.String()[:12], HdrEncoding, "s2")
	f(ReasonEncoding, "{}", HdrEncoding, "zstd")
	(&Pack{Data: []byte("{}\n{}\n"), Encoding: EncodingZstd}).Msg(&m)
	f(ReasonEncoding, string(m.Data[:len(m.Data)-3]), HdrEncoding, "zstd")
}

func FuzzDecodePack(f *testing.F) {
	for _, enc := range []string{"", "s2", "zstd"} {
		p := Pack{Data: []byte("{\"a\":1}\r\n\n{\"b\":2}"), Encoding: enc}
		var m nats.Msg
		p.Msg(&m)
		f.Add("", enc, "2", m.Data)
	}
	f.Add("application/x-ndjson; v=1", "s2", "", []byte(s2Stream))
	f.Fuzz(func(t *testing.T, kind, enc, count string, data []byte) {
		h := nats.Header{HdrContentType: {kind}, HdrEncoding: {enc}, HdrCount: {count}}
		p, err := DecodePack("s", h, data, Limits{Decoded: 1 << 16})
		if err != nil {
			if ReasonOf(err) == "" {
				t.Fatalf("error without a reason: %v", err)
			}
			return
		}
		if len(p.Data) > 1<<16 {
			t.Fatalf("%d bytes, more than the limit", len(p.Data))
		}
		var m nats.Msg
		p.Msg(&m)
		back, err := DecodePack("s", m.Header, m.Data, Limits{Decoded: 1 << 16})
		if err != nil || !bytes.Equal(back.Data, p.Data) || back.Count != p.Count {
			t.Fatalf("round trip: %v, %d lines of %d", err, back.Count, p.Count)
		}
	})
}
