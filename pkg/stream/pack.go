package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
)

// Headers of a pack. None is required: a message without any is a pack of plain
// NDJSON, so `nats pub` can write one.
const (
	// HdrMsgID is JetStream's own: the server drops a second message with the same
	// id within the stream's duplicate window.
	HdrMsgID = "Nats-Msg-Id"
	// HdrContentType names the serialization; absent means ContentType.
	HdrContentType = "Content-Type"
	// HdrEncoding names the compression of the body: EncodingS2, EncodingZstd or none.
	HdrEncoding = "Content-Encoding"
	// HdrCount is the number of lines, so that nobody needs to count them.
	HdrCount = "Dlog-Count"
	// HdrAgain is "1" on whatever may have been stored before.
	HdrAgain = "Dlog-Again"
	// HdrTotal is set by routers: the router and its running count for the stream.
	HdrTotal = "Dlog-Total"
	// HdrReason, HdrRule, HdrSubject and HdrSeq are set on dead letters: why, by which
	// rule, and the subject and stream sequence it had.
	HdrReason  = "Dlog-Reason"
	HdrRule    = "Dlog-Rule"
	HdrSubject = "Dlog-Subject"
	HdrSeq     = "Dlog-Sequence"
)

// ContentType is the serialization of dlog's own packs and the default of those
// that name none.
const ContentType = "application/x-ndjson; v=1"

// Encodings of a pack's body.
const (
	EncodingNone = ""
	EncodingS2   = "s2"
	EncodingZstd = "zstd"
)

// A Reason says why something became a dead letter. It is a token of the dead
// letter's subject.
type Reason string

// The reasons of dead letters.
const (
	ReasonJSON     Reason = "json"     // a line is no JSON object
	ReasonSize     Reason = "size"     // too large, or not as large as it says
	ReasonType     Reason = "type"     // a serialization that dlog does not read
	ReasonEncoding Reason = "encoding" // a body that does not decompress
	ReasonRule     Reason = "rule"     // a rule failed on it
	ReasonStream   Reason = "stream"   // its stream does not take it
	ReasonSink     Reason = "sink"     // its sink does not take it
)

// A DeadError is a fault of what was said, not of who carries it: trying again does
// not help, the thing belongs among the dead letters under its Reason.
type DeadError struct {
	Reason Reason
	Err    error
}

// Error is the cause's text.
func (e *DeadError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *DeadError) Unwrap() error { return e.Err }

// ReasonOf is the dead letter's reason in an error's chain, "" if it has none: then
// the fault is not of the pack, and it must be tried again.
func ReasonOf(err error) Reason {
	var dead *DeadError
	if errors.As(err, &dead) {
		return dead.Reason
	}
	return ""
}

func deadf(r Reason, format string, args ...any) error {
	return &DeadError{Reason: r, Err: fmt.Errorf(format, args...)}
}

// Limits bound what DecodePack makes of a message. The zero value means defaults.
type Limits struct {
	// Decoded is the most bytes of a body, decompressed; 0 means 8 MiB. A pack of
	// dlog's own has at most 256 KiB; a server takes 1 MiB unless told otherwise.
	Decoded int
}

const defaultDecoded = 8 << 20

func (l Limits) decoded() int {
	if l.Decoded > 0 {
		return l.Decoded
	}
	return defaultDecoded
}

// A Pack is one message: lines of NDJSON that share a subject.
type Pack struct {
	Subject string
	ID      string // Nats-Msg-Id; "" sets none
	Data    []byte // NDJSON, not compressed
	Count   int    // lines in Data; Msg leaves the header out if it is 0
	Again   bool   // may have been stored before
	Total   string // Dlog-Total; "" sets none

	// Encoding is how Msg compresses the body, and how the message that DecodePack
	// read was compressed.
	Encoding string

	// Header is set where a message was read as it is, see ReadConfig.Raw.
	Header nats.Header

	// Seq and Time are where it was read from a stream: sequence and store time.
	// DecodePack knows neither.
	Seq  uint64
	Time time.Time
}

// Msg writes the pack into m: subject, headers and body. Headers of m that are not a
// pack's stay; m may be used again for the next pack, which saves its allocations.
// The body is p.Data itself unless it is compressed; an Encoding that is not known
// leaves it plain.
func (p *Pack) Msg(m *nats.Msg) {
	m.Subject = p.Subject
	if m.Header == nil {
		m.Header = make(nats.Header, 4)
	}
	count, again := "", ""
	if p.Count > 0 {
		count = strconv.Itoa(p.Count)
	}
	if p.Again {
		again = "1"
	}
	setHeader(m.Header, HdrMsgID, p.ID)
	setHeader(m.Header, HdrCount, count)
	setHeader(m.Header, HdrAgain, again)
	setHeader(m.Header, HdrTotal, p.Total)
	var encoding string
	m.Data, encoding = encodeBody(p.Encoding, p.Data)
	setHeader(m.Header, HdrEncoding, encoding)
}

func encodeBody(encoding string, data []byte) (body []byte, done string) {
	switch encoding {
	case EncodingS2:
		return s2.Encode(nil, data), EncodingS2
	case EncodingZstd:
		if e, err := zstdEncoder(); err == nil {
			return e.EncodeAll(data, nil), EncodingZstd
		}
	}
	return data, EncodingNone
}

func setHeader(h nats.Header, key, value string) {
	switch old := h[key]; {
	case value == "":
		delete(h, key)
	case len(old) == 1:
		old[0] = value
	default:
		h[key] = []string{value}
	}
}

// DecodePack reads a message's headers and body. Headers that are absent have their
// defaults: one line of plain NDJSON is a pack of 1. The error is a *DeadError: of
// type for a serialization other than NDJSON, of encoding for a body that does not
// decompress, of size for one that decompresses beyond the limit or does not hold as
// many lines as it says. Whether the lines are JSON is for those who look inside.
//
// Pack.Data is data itself when it was not compressed: the pack lives as long as it.
func DecodePack(subject string, h nats.Header, data []byte, lim Limits) (Pack, error) {
	p := Pack{
		Subject: subject,
		ID:      h.Get(HdrMsgID), Again: h.Get(HdrAgain) == "1", Total: h.Get(HdrTotal),
		Encoding: strings.ToLower(h.Get(HdrEncoding)),
	}
	if p.Encoding == "identity" {
		p.Encoding = EncodingNone
	}
	if err := checkType(h.Get(HdrContentType)); err != nil {
		return p, err
	}
	body, err := decodeBody(p.Encoding, data, lim.decoded())
	if err != nil {
		return p, err
	}
	p.Data, p.Count = body, CountLines(body)
	return p, checkCount(h.Get(HdrCount), p.Count)
}

// checkType accepts NDJSON of version 1. Parameters other than the version are not
// ours to judge (a charset, say).
func checkType(t string) error {
	if t == "" || t == ContentType {
		return nil
	}
	kind, params, _ := strings.Cut(t, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-ndjson") {
		return deadf(ReasonType, "decode pack: serialization %.80q is not application/x-ndjson", t)
	}
	for param := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(param, "=")
		if strings.TrimSpace(k) == "v" && strings.TrimSpace(v) != "1" {
			return deadf(ReasonType, "decode pack: version %.20q of NDJSON packs is not known, 1 is", v)
		}
	}
	return nil
}

func checkCount(said string, lines int) error {
	if said == "" {
		return nil
	}
	if n, err := strconv.Atoi(said); err != nil || n != lines {
		return deadf(ReasonSize, "decode pack: %s says %.20q, the pack holds %d lines", HdrCount, said, lines)
	}
	return nil
}

func decodeBody(encoding string, data []byte, limit int) ([]byte, error) {
	var body []byte
	var err error
	switch encoding {
	case EncodingNone:
		body = data
	case EncodingS2:
		body, err = decodeS2(data, limit)
	case EncodingZstd:
		body, err = decodeZstd(data, limit)
	default:
		err = deadf(ReasonEncoding, "decode pack: unknown encoding %.40q", encoding)
	}
	if err == nil && len(body) > limit {
		err = tooLarge(limit)
	}
	return body, err
}

func tooLarge(limit int) error {
	return deadf(ReasonSize, "decode pack: body is larger than %d bytes", limit)
}

// s2Stream begins the stream format of S2, s2Snappy that of Snappy, which S2 reads
// (github.com/google/snappy, framing_format.txt). Blocks begin with their length.
const (
	s2Stream = "\xff\x06\x00\x00S2sTwO"
	s2Snappy = "\xff\x06\x00\x00sNaPpY"
)

// decodeS2 reads a block, which is what Msg writes, or a stream, which is what the
// command line tool writes.
func decodeS2(data []byte, limit int) ([]byte, error) {
	if bytes.HasPrefix(data, []byte(s2Stream)) || bytes.HasPrefix(data, []byte(s2Snappy)) {
		return readBounded(s2.NewReader(bytes.NewReader(data), s2.ReaderMaxBlockSize(1<<20)), EncodingS2, limit)
	}
	n, err := s2.DecodedLen(data)
	if err != nil {
		return nil, deadf(ReasonEncoding, "decode s2 body: %w", err)
	}
	if n > limit {
		return nil, tooLarge(limit)
	}
	body, err := s2.Decode(nil, data)
	if err != nil {
		return nil, deadf(ReasonEncoding, "decode s2 body: %w", err)
	}
	return body, nil
}

// maxWindow bounds what a zstd frame may make the decoder hold; the format allows
// gigabytes. 8 MiB is what RFC 8878, 3.1.1.1.2 asks decoders to support.
const maxWindow = 8 << 20

// zstdReaders are decoders that start no goroutines, so dropping one leaks nothing.
var zstdReaders = sync.Pool{New: func() any {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err // options out of range, which the tests would have seen
	}
	return r
}}

func decodeZstd(data []byte, limit int) ([]byte, error) {
	r, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		return nil, errors.New("decode zstd body: no decoder")
	}
	defer zstdReaders.Put(r)
	if err := r.Reset(bytes.NewReader(data)); err != nil {
		return nil, deadf(ReasonEncoding, "decode zstd body: %w", err)
	}
	return readBounded(r, EncodingZstd, limit)
}

// readBounded reads all of a decompressor, never more than one byte beyond the limit.
func readBounded(r io.Reader, encoding string, limit int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, deadf(ReasonEncoding, "decode %s body: %w", encoding, err)
	}
	if len(body) > limit {
		return nil, tooLarge(limit)
	}
	return body, nil
}

// zstdEncoder is shared: EncodeAll is safe for concurrent use and starts no goroutine.
var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
})
