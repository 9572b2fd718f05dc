package cond

import (
	"fmt"
	"testing"
)

func TestFieldTexts(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		w, err := ParseWhere(args)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(w.Cond().FieldTexts()); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
	f("[]")
	f("[]", "service=shop", "level>=warn", "message~x", "a!=b", "a=*", "done=true")
	f("[{user.id [a-1] []} {code [5] [5]}]", "user.id=a-1", "code=5")
	f("[{region [eu us] []}]", "region=eu,us")
}
