package cond_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

func compileCond(t *testing.T, match, not string) cond.Cond {
	t.Helper()
	text := "match = { " + match + " }\n"
	if not != "" {
		text += "not = { " + not + " }\n"
	}
	var f struct {
		Match config.Table `toml:"match"`
		Not   config.Table `toml:"not"`
	}
	if err := config.Decode("c.toml", []byte(text), &f); err != nil {
		t.Fatal(err)
	}
	c, err := cond.Parse(f.Match, f.Not)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func TestImplies(t *testing.T) {
	f := func(a, b string, implies, excludes bool) {
		t.Helper()
		ca, cb := compileCond(t, a, ""), compileCond(t, b, "")
		if ca.Implies(cb) != implies || ca.Excludes(cb) != excludes || cb.Excludes(ca) != excludes {
			t.Errorf("{ %s } and { %s }: implies %v, excludes %v", a, b, ca.Implies(cb), ca.Excludes(cb))
		}
	}
	f(`a = 1`, ``, true, false)
	f(``, `a = 1`, false, false)
	f(`a = 1, b = 2`, `b = 2`, true, false)
	f(`a = 1`, `a = [2, 1]`, true, false)
	f(`a = [1, 2]`, `a = 1`, false, false)
	f(`a = 1`, `a = 2`, false, true)
	f(`a = "x"`, `a = "y"`, false, true)
	f(`a = "1"`, `a = 1`, false, false)
	f(`a = "x"`, `a = "*"`, true, false)
	f(`a = ""`, `a = "~x"`, false, true)
	f(`a = ">5"`, `a = ">=5"`, true, false)
	f(`a = ">=5"`, `a = ">5"`, false, false)
	f(`a = 5`, `a = "<5"`, false, true)
	f(`level = ">=error"`, `level = ">=warn"`, true, false)
	f(`level = "debug"`, `level = ">=warn"`, false, true)
	f(`service = "pay"`, `service = "~^p"`, true, false)
	f(`service = "pay"`, `service = ["shop", "search"]`, false, true)
	f(`path = "a/b/**"`, `path = "a/**"`, true, false)
	f(`path = "a"`, `path = "a/**"`, true, false)
	f(`path = "a/**"`, `path = "a/*"`, false, false)
	f(`path = "*/b"`, `path = "**"`, true, false)
	f(`any = [{ a = 1 }, { a = 2 }]`, `a = "<3"`, true, false)
	f(`a = 1, b = 1`, `any = [{ c = 1 }, { b = 1 }]`, true, false)
	f(`a = { ne = 1 }`, `a = 1`, false, true)
	f(`a = 2`, `a = { ne = 1 }`, true, false)
}

// What Implies and Excludes say holds for random conditions and entries.
func TestImpliesIsRight(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	one := func() string {
		return pick("a", "b") + " = " + pick(`1`, `2`, `"1"`, `"x"`, `"*"`, `""`, `">1"`, `">=1"`, `"<2"`, `"<=1.5"`, `"~x"`, `["x", 1]`, `{ ne = 1 }`, `[">1", ""]`, `true`)
	}
	term := func() string {
		switch r.IntN(5) {
		case 0:
			return "level = " + pick(`"info"`, `">=warn"`, `"<=info"`, `["debug", "error"]`)
		case 1:
			return "service = " + pick(`"pay"`, `["pay", "shop"]`, `"~^p"`, `{ ne = "pay" }`, `"*"`)
		case 2:
			return "path = " + pick(`"o/**"`, `"o"`, `"*/p"`, `"o/p"`, `""`, `"*"`, `"**"`, `"~p"`)
		case 3:
			return fmt.Sprintf("any = [{ %s }, { %s }]", one(), one())
		}
		return one()
	}
	table := func() string {
		a, b := term(), term()
		if r.IntN(2) == 0 || strings.Fields(a)[0] == strings.Fields(b)[0] {
			return a
		}
		return a + ", " + b
	}
	said := 0
	for range 3000 {
		not := func() string {
			if r.IntN(3) == 0 {
				return table()
			}
			return ""
		}
		a, b := compileCond(t, table(), not()), compileCond(t, table(), not())
		implies, excludes := a.Implies(b), a.Excludes(b)
		if !implies && !excludes {
			continue
		}
		said++
		for range 40 {
			line := fmt.Sprintf(`{"a":%s,"b":%s}`, pick("1", "2", "1.5", `"1"`, `"x"`, "null", "true", "0"), pick("1", "2", `"x"`, "null"))
			s, err := subject.Parse("dlog.in." + pick("pay", "shop", "other", "-") + "." + pick("debug", "info", "warn", "error", "none") + "." + pick("-", "o", "o.p", "x.p"))
			if err != nil {
				t.Fatal(err)
			}
			if ma, mb := matches(a, s, line), matches(b, s, line); implies && ma && !mb || excludes && ma && mb {
				t.Fatalf("%v\n%v\nimplies %v, excludes %v; %+v %s: %v, %v", a, b, implies, excludes, s, line, ma, mb)
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d pairs were related", said)
	}
}

func matches(c cond.Cond, s subject.Subject, line string) bool {
	var b cond.Binder
	m := b.Bind(c)
	var r cond.Record
	r.Load(b.Layout(), s, []byte(line))
	return m.Match(&r)
}
