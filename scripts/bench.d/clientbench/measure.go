package main

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"
)

// variant is one way to log.
type variant struct {
	name   string
	call   func(i int) // one logger call, from any goroutine
	settle func()      // inside of what is measured: what runs behind the calls comes to its end
	clean  func()      // outside of it: makes room for the next round
	bar    float64     // the ratio to reach, 0 for none
}

// figures are what the rounds gave for one variant.
type figures struct {
	ns     []float64 // CPU a call
	ratio  []float64 // to the first variant in the same round
	allocs float64
}

// interleave runs all variants in each round, in random order, with so many calls from so many goroutines. The first variant is the reference.
func interleave(variants []variant, rounds, calls, goroutines int) []figures {
	out := make([]figures, len(variants))
	for i, v := range variants {
		once(v, calls, goroutines) // warm
		out[i].allocs = allocs(v)
	}
	for range rounds {
		ns := make([]float64, len(variants))
		for _, i := range rand.Perm(len(variants)) {
			ns[i] = float64(once(variants[i], calls, goroutines)) / float64(calls)
		}
		for i := range variants {
			out[i].ns = append(out[i].ns, ns[i])
			out[i].ratio = append(out[i].ratio, ns[i]/ns[0])
		}
	}
	return out
}

// once returns the CPU time of one round. Garbage that others left is not charged to it: the collector runs before, and within the round only if
// the variant makes enough of its own.
func once(v variant, calls, goroutines int) time.Duration {
	runtime.GC()
	old := debug.SetGCPercent(400)
	defer debug.SetGCPercent(old)
	start := cpu()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < calls; i += goroutines {
				v.call(i)
			}
		})
	}
	wg.Wait()
	if v.settle != nil {
		v.settle()
	}
	took := cpu() - start
	if v.clean != nil {
		v.clean()
	}
	return took
}

func allocs(v variant) float64 {
	const n = 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		v.call(i)
	}
	runtime.ReadMemStats(&after)
	if v.settle != nil {
		v.settle()
	}
	if v.clean != nil {
		v.clean()
	}
	return float64((after.Mallocs - before.Mallocs) / n) // whole ones, as testing.AllocsPerRun
}

// cpu is the CPU time of the process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // a tool: without it there is nothing to say
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 { return quantile(v, .5) }

func quantile(v []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[int(q*float64(len(s)-1))]
}
