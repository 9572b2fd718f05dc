package view

import (
	"strings"
	"testing"
)

func TestPathText(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		if got := pathText(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	f("", "")
	f("place-order/charge-card", "place-order/charge-card")
	f("POST =2Forders", "POST /orders")
	f("place-order/POST =2Forders/pay", "place-order › POST /orders › pay")
}

func TestGoFrames(t *testing.T) {
	f := func(text, want string, wantOthers int) {
		t.Helper()
		frames, others, ok := goFrames(text)
		var got strings.Builder
		for _, f := range frames {
			got.WriteString(f.call + " at " + f.at + "\n")
		}
		if got.String() != want || others != wantOthers || ok != (want != "") {
			t.Errorf("%q: got %q and %d others, %v", text, got.String(), others, ok)
		}
	}
	f("", "", 0)
	f("Traceback (most recent call last):\n  File \"x.py\"", "", 0)
	f("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:7 +0x3e6", "main.main at /src/main.go:7\n", 0)
	f("goroutine 1 [running]:\nshop.(*T).f({0x1?, 0x2}, 0x3)\n\t/src/t.go:9", "shop.(*T).f at /src/t.go:9\n", 0)
	f("goroutine 1 [running]:\npanic({0x1, 0x2})\n\t/go/panic.go:1\nmain.f(...)\n\t/src/main.go:8\nnet/http.HandlerFunc.ServeHTTP(0x1)\n\t/go/server.go:2\ncreated by net/http.(*Server).Serve in goroutine 1\n\t/go/server.go:3 +0x1",
		"main.f at /src/main.go:8\n", 3)
	f("goroutine 1 [running]:\nmain.main()", "", 0)
	f("goroutine 1 [running]:\nmain.main()\nno tab", "", 0)
	f("goroutine 1 [running]:\nruntime.main()\n\t/go/proc.go:1", "", 1)
}
