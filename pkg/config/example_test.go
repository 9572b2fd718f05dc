package config_test

import (
	"fmt"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
)

func ExampleDecode() {
	cfg := struct {
		Listen string          `toml:"listen"`
		MaxAge config.Duration `toml:"max_age"`
	}{Listen: "127.0.0.1:4222", MaxAge: config.Duration(7 * config.Day)}

	fmt.Println(config.Decode("router.toml", []byte("max_age = \"2d\""), &cfg), cfg.Listen, cfg.MaxAge)
	fmt.Println(config.Decode("router.toml", []byte("lisen = \":1\"\nmax_age = 14"), &cfg))
	// Output:
	// <nil> 127.0.0.1:4222 2d
	// router.toml:1: lisen: unknown key; did you mean "listen"?
	// router.toml:2: max_age: expected a duration like "7d" or "1h30m", found the number 14
}

func ExampleParseTime() {
	now := time.Date(2026, 11, 22, 16, 2, 0, 0, time.UTC)
	for _, s := range []string{"90m", "08:15", "2026-11-01"} {
		t, _ := config.ParseTime(s, now, time.UTC)
		fmt.Println(t.Format(time.RFC3339))
	}
	// Output:
	// 2026-11-22T14:32:00Z
	// 2026-11-22T08:15:00Z
	// 2026-11-01T00:00:00Z
}
