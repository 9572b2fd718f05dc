//go:build unix

package client

import (
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const goroutines = 4

// buckets are four to an octave of nanoseconds.
const buckets = 4 * 64

// ledger is what one application says of itself in a mapped file: how many entries of each goroutine were acknowledged, which is
// to say that their call has returned. It outlives a kill, and nothing of dlog has to do with it.
type ledger struct {
	said [goroutines]atomic.Uint64
	hold atomic.Uint64 // written by the test: says nothing while it is not 0
	rate atomic.Uint64 // written by the test: entries a second, 0 for as many as go
	wall histogram     // time that a call took
	net  histogram     // the same without the time in which the machine ran something else in its place
	bare histogram     // wall time of a call of zerolog to nowhere, made beside each
}

type histogram struct {
	count [buckets]atomic.Uint64
	max   atomic.Uint64
	slow  atomic.Uint64 // longer than tooLong
}

// tooLong is what no call may take.
const tooLong = 10 * time.Millisecond

// openLedger maps the file, and makes it where it is not there.
func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(ledger{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*ledger)(unsafe.Pointer(&mem[0])), nil // mapped for the rest of the process
}

func (l *ledger) total() (n uint64) {
	for g := range l.said {
		n += l.said[g].Load()
	}
	return n
}

func (h *histogram) add(d time.Duration) {
	ns := uint64(max(d, 0))
	h.count[bucketOf(ns)].Add(1)
	if d > tooLong {
		h.slow.Add(1)
	}
	for {
		old := h.max.Load()
		if ns <= old || h.max.CompareAndSwap(old, ns) {
			return
		}
	}
}

func bucketOf(ns uint64) int {
	n := bits.Len64(ns)
	if n < 3 {
		return int(ns)
	}
	return 4*(n-2) + int(ns>>(n-3)&3)
}

// floorOf is the least value of a bucket.
func floorOf(b int) time.Duration {
	if b < 4 {
		return time.Duration(b)
	}
	return time.Duration(4+b%4) << (b/4 - 1)
}

func TestBuckets(t *testing.T) {
	for _, ns := range []uint64{0, 1, 3, 4, 5, 7, 8, 9, 100, 1023, 1024, 10_000_000, 1 << 40} {
		b := bucketOf(ns)
		if lo, hi := floorOf(b), floorOf(b+1); uint64(lo) > ns || ns >= uint64(hi) {
			t.Errorf("%d is in bucket %d, which is [%d, %d)", ns, b, lo, hi)
		}
	}
}

func (h *histogram) total() (n uint64) {
	for i := range h.count {
		n += h.count[i].Load()
	}
	return n
}

func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.total()))
	for i := range h.count {
		n := h.count[i].Load()
		if n > left {
			return min(floorOf(i+1), time.Duration(h.max.Load()))
		}
		left -= n
	}
	return time.Duration(h.max.Load())
}

func (h *histogram) String() string {
	return fmt.Sprintf("%d calls: p50 %v, p99 %v, p99.9 %v, p99.99 %v, p99.999 %v, max %v; over %v: %d",
		h.total(), h.quantile(.5), h.quantile(.99), h.quantile(.999), h.quantile(.9999), h.quantile(.99999), time.Duration(h.max.Load()), tooLong, h.slow.Load())
}

// lines draws the whole histogram, an octave a line.
func (h *histogram) lines() (out []string) {
	for i := 0; i < buckets; i += 4 {
		var n uint64
		for j := range 4 {
			n += h.count[i+j].Load()
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%10v … %-10v %10d", floorOf(i), floorOf(i+4), n))
		}
	}
	return out
}
