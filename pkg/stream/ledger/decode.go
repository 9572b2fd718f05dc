package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

var (
	errShort   = errors.New("ends too early")
	errNumbers = errors.New("numbers that cannot be")
)

// decode reads a batch. Nothing in it is trusted.
func decode(data []byte) (Batch, error) {
	if len(data) == 0 || data[0] != version {
		return Batch{}, fmt.Errorf("read ledger: not a batch of version %d", version)
	}
	d := decoder{data: data[1:]}
	b := d.batch()
	if d.err != nil {
		return Batch{}, fmt.Errorf("read ledger: %w", d.err)
	}
	return b, nil
}

// decoder reads numbers; after the first fault all are 0.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.data = nil
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.fail(errShort)
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) num() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.data = d.data[n:]
	return v
}

// length reads how many things follow, each of at least size bytes.
func (d *decoder) length(size uint64) uint64 {
	n := d.num()
	if n > uint64(len(d.data))/size {
		d.fail(errShort)
		return 0
	}
	return n
}

func (d *decoder) batch() (b Batch) {
	flags := d.byte()
	b.Full, b.Debts = flags&flagFull != 0, flags&flagDebts != 0
	for _, n := range []*uint64{&b.Number, &b.Back, &b.Totals.Messages, &b.Totals.Entries, &b.Totals.Delivered, &b.Totals.ByDefault, &b.Totals.Expired} {
		*n = d.num()
	}
	names := make([]Name, d.length(3))
	b.Totals.By = make(map[Name]uint64, len(names))
	for i := range names {
		names[i] = Name{Kind: Kind(d.byte()), Name: string(d.bytes(d.num()))}
		total := d.num()
		if names[i].Kind.valid() { // a later version may know more
			b.Totals.By[names[i]] = total
		}
	}
	b.Expired = d.spans()
	if b.Full {
		b.Recorded = d.spans()
	}
	b.Records = make([]Record, d.length(7))
	seq, at := uint64(0), int64(0)
	for i := range b.Records {
		seq, at = seq+uint64(d.signed()), at+d.signed()
		b.Records[i] = Record{Seq: seq, At: time.Unix(0, at)}
		d.record(&b.Records[i], names)
	}
	return b
}

func (d *decoder) record(r *Record, names []Name) {
	r.Entries, r.Delivered, r.ByDefault = d.num(), d.num(), d.num()
	for range d.length(2) {
		name, n := d.name(names), d.num()
		if name.Kind.valid() {
			r.Counts = append(r.Counts, Count{name, n})
		}
	}
	for range d.length(11) {
		rule := d.name(names).Name
		key := d.bytes(8)
		if len(key) < 8 {
			return
		}
		task := TaskKey(binary.LittleEndian.Uint64(key))
		d.runs(func(s Span) { r.Withheld = append(r.Withheld, Withheld{rule, task, s.First, s.Last}) })
	}
}

func (d *decoder) name(names []Name) Name {
	i := d.num()
	if i >= uint64(len(names)) {
		d.fail(errNumbers)
		return Name{}
	}
	return names[i]
}

func (d *decoder) spans() (s Spans) {
	d.runs(func(r Span) { s = s.Add(r) })
	return s
}

// runs reads runs in order.
func (d *decoder) runs(f func(Span)) {
	end := uint64(0)
	for range d.length(2) {
		first := end + d.num()
		last := first + d.num()
		if first < end || last < first {
			d.fail(errNumbers)
			return
		}
		f(Span{first, last})
		end = last
	}
}
