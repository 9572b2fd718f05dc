package transport

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func TestReadReply(t *testing.T) {
	f := func(data string, want verdict, fails bool) {
		t.Helper()
		got, err := readReply(&nats.Msg{Data: []byte(data)})
		if got != want || (err != nil) != fails {
			t.Errorf("%s: verdict %d (%v), want %d", data, got, err, want)
		}
	}
	f(`{"stream":"DLOG_IN","seq":7}`, stored, false)
	f(`{"stream":"DLOG_IN","domain":"hub","seq":7}`, stored, false)
	f(`{"stream":"DLOG_IN","seq":7,"duplicate":true}`, duplicate, false)
	f(`{ "seq": 7, "stream": "DLOG_IN", "duplicate": true }`, duplicate, false)
	f(`{"stream":"DLOG_IN","seq":0}`, unclear, true)
	f(`{"stream":"","seq":3}`, unclear, true)
	f(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"DLOG_IN","seq":0}`, refused, true)
	f(`{"error":{"code":503,"err_code":10077,"description":"write error"},"stream":"DLOG_IN","seq":0}`, unclear, true)
	f(`{"error":{"code":503,"err_code":10023,"description":"insufficient resources"},"seq":0}`, refused, true)
	f(`{"stream":"DLOG_IN","error":{"code":503,"err_code":10008},"seq":0}`, unclear, true)
	f(`hello`, unclear, true)
	f(``, unclear, true)

	if v, err := readReply(&nats.Msg{Header: nats.Header{"Status": {"503"}}}); v != refused || err == nil {
		t.Errorf("no responders: %d, %v", v, err)
	}
	if v, err := readReply(&nats.Msg{Header: nats.Header{"Status": {"408"}}}); v != unclear || err == nil {
		t.Errorf("status 408: %d, %v", v, err)
	}
}

func TestReplySubjects(t *testing.T) {
	f := func(id uint64, publish int) {
		t.Helper()
		s := string(appendReply([]byte("_INBOX.x."), id, publish))
		gotID, gotPublish, ok := parseReply(s, "_INBOX.x.")
		if !ok || gotID != id || gotPublish != publish {
			t.Errorf("%s: %d %d %v", s, gotID, gotPublish, ok)
		}
	}
	f(1, 1)
	f(35, 36)
	f(1<<63, 100000)
	for _, bad := range []string{"", "_INBOX.x.", "_INBOX.x.-", "_INBOX.x.1", "_INBOX.x.1-", "_INBOX.x.1-!", "_INBOX.y.1-1"} {
		if _, _, ok := parseReply(bad, "_INBOX.x."); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte(`{"stream":"DLOG_IN","seq":7,"duplicate":true}`))
	f.Add([]byte(`{"stream":"DLOG_IN","seq":0,"error":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readReply(&nats.Msg{Data: data})
		if (err == nil) != (v == stored || v == duplicate) {
			t.Fatalf("verdict %d with error %v", v, err)
		}
	})
}
