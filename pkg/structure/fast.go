package structure

import "github.com/dlog-fabric/dlog/pkg/entry"

// putFast is put for what nearly all entries are: a logger's line, in a task that goes on or outside of any, without a time of ours and without a second
// output. It reports false where it does not take the entry, and nothing has happened then.
//
// Less room is reserved than put does: as many digits as the numbers have at the moment, and one more. What a reservation leaves over the queue must mark
// as a hole, which costs as much as a number.
//
// The body comes in two parts, between which a mark was taken out.
func (p *Process) putFast(rt *route, t *Task, level entry.Level, body, rest, keys []byte) bool {
	if p.cfg.Also != nil || len(body)+len(rest) < 2 {
		return false
	}
	head, room := p.head, len(body)+len(rest)+len(p.tail)+int(p.seqDigits.Load())+1+len(keys)+len("0\"}}\n")
	if t != nil {
		count := t.count.Load()
		if count&endedBit != 0 {
			return false
		}
		head = t.head
		room += digits(count)
	}
	room += len(head)
	if room > entry.MaxLine {
		return false
	}
	f, err := p.out.Reserve(rt.subject(level), level, false, room)
	if err != nil {
		p.refuse(&item{level: level, task: t})
		return true
	}
	b := f.Line
	n := copy(b, body)
	n += copy(b[n:], rest)
	joinLines(b[:n])
	n += copy(b[n:], head)
	var number uint64
	if t != nil {
		number = t.take(false)
	}
	d := digits(f.Seq)
	if int32(d) > p.seqDigits.Load() {
		p.seqDigits.Store(int32(d))
	}
	if fixed := n + len(p.tail) + len(keys) + len("\"}}\n"); fixed+digits(number)+d > len(b) {
		f.Abandon() // others took many numbers in between: now there is room for all digits
		whole := append(append([]byte(nil), body...), rest...)
		p.put(&item{route: rt, level: level, body: whole, task: t, keys: keys, number: number})
		return true
	}
	if t != nil {
		n += putUint(b[n:], number)
		b[n] = '"'
		n++
	}
	n += copy(b[n:], p.tail)
	n += putUint(b[n:], f.Seq)
	n += copy(b[n:], keys)
	n += copy(b[n:], "}}\n")
	f.Commit(n)
	return true
}

// digits is the length of n in decimal.
func digits(n uint64) int {
	d := 1
	for ; n >= 10000; n /= 10000 {
		d += 4
	}
	switch {
	case n >= 1000:
		return d + 3
	case n >= 100:
		return d + 2
	case n >= 10:
		return d + 1
	}
	return d
}

const twoDigits = "0001020304050607080910111213141516171819" +
	"2021222324252627282930313233343536373839" +
	"4041424344454647484950515253545556575859" +
	"6061626364656667686970717273747576777879" +
	"8081828384858687888990919293949596979899"

// putUint writes n in decimal and returns its length, also where b is too short for it. It takes a third of the time of strconv's, which matters twice a
// call.
func putUint(b []byte, n uint64) int {
	length := digits(n)
	if length > len(b) {
		return length
	}
	i := length
	for n >= 100 {
		two := n % 100 * 2
		n /= 100
		i -= 2
		b[i], b[i+1] = twoDigits[two], twoDigits[two+1]
	}
	if n >= 10 {
		b[0], b[1] = twoDigits[n*2], twoDigits[n*2+1]
	} else {
		b[0] = byte('0' + n)
	}
	return length
}

func appendUint(b []byte, n uint64) []byte {
	var text [20]byte
	return append(b, text[:putUint(text[:], n)]...)
}
