package spool_test

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

const benchSubject = "dlog.in.checkout.info.place-order.reserve"

// BenchmarkAppend is one entry of 200 bytes into each kind of queue, with a reader that acks, beside one write(2) to a file and
// beside zerolog writing a line of that size to nowhere.
func BenchmarkAppend(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 199), '\n')
	queue := func(name string, q spool.Queue) {
		b.Run(name, func(b *testing.B) {
			defer q.Close()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f, err := q.Reserve(benchSubject, entry.Info, false, len(line))
				if err != nil {
					b.Fatal(err)
				}
				f.Commit(copy(f.Line, line))
				if i%1024 == 1023 {
					b.StopTimer()
					ackAll(b, q)
					b.StartTimer()
				}
			}
		})
	}
	queue("memory", spool.NewMemory(spool.Config{}))
	for _, dir := range []string{b.TempDir(), "/dev/shm"} {
		dir, err := os.MkdirTemp(dir, "dlog-bench")
		if err != nil {
			continue
		}
		defer os.RemoveAll(dir)
		for _, noMap := range []bool{false, true} {
			q, err := spool.Open(spool.Config{Dir: dir, NoMap: noMap})
			if err != nil {
				b.Fatal(err)
			}
			queue(q.Where()[len(dir)+18:len(dir)+40], q)
		}
		f, err := os.CreateTemp(dir, "")
		if err != nil {
			b.Fatal(err)
		}
		b.Run("write(2)", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := f.Write(line); err != nil {
					b.Fatal(err)
				}
				if i%100000 == 0 {
					_ = f.Truncate(0)
				}
			}
		})
		f.Close()
	}
	log := zerolog.New(io.Discard).With().Timestamp().Logger()
	b.Run("zerolog", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			log.Info().Str("sku", "A-17").Int("n", i).Str("region", "eu-central-1").Float64("price", 12.5).Msg("reserved")
		}
	})
}

func ackAll(b *testing.B, q spool.Queue) {
	p := spool.Pack{Number: q.LastNumber() + 1, Subject: benchSubject}
	for it, ok := q.Next(); ok; it, ok = q.Next() {
		if p.Count == 0 {
			p.First = it.At
		}
		p.Last, p.Count, p.CRC = it.At, p.Count+1, spool.Checksum(p.CRC, it.Line)
	}
	if err := q.Fix(p); err != nil {
		b.Fatal(err)
	}
	q.Acked(p.Number)
}
