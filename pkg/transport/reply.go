package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// A verdict is what a server's answer says of a pack.
type verdict uint8

const (
	stored    verdict = iota
	duplicate         // was stored before, under this id
	refused           // surely not stored
	unclear           // an error after which it may have been stored
)

// Codes of JetStream's errors that say the message was not stored
// (nats-server, server/errors.json).
const (
	codeStore     = 10077 // storing failed; "maximum bytes exceeded" is one of its texts
	codeResources = 10023 // insufficient resources
	codeStorage   = 10047 // insufficient storage resources
	codeTooLarge  = 10054 // message size exceeds maximum allowed
	codeSealed    = 10109 // stream is sealed
)

// readReply reads a PubAck. The common one, a success, is read without a JSON decoder:
// {"stream":"DLOG_IN","seq":7} with "duplicate":true or a domain behind it.
func readReply(m *nats.Msg) (verdict, error) {
	if status := m.Header.Get("Status"); status != "" {
		if status == "503" {
			return refused, fmt.Errorf("no stream takes it (no responders)")
		}
		return unclear, fmt.Errorf("server answers with status %.20q", status)
	}
	data := bytes.TrimSpace(m.Data)
	if bytes.HasPrefix(data, []byte(`{"stream":"`)) && numbered(data) && data[len(`{"stream":"`)] != '"' && !bytes.Contains(data, []byte(`"error"`)) {
		if bytes.Contains(data, []byte(`"duplicate":true`)) {
			return duplicate, nil
		}
		return stored, nil
	}
	return readSlowly(data)
}

// numbered says whether the answer holds a stream sequence, which is never 0.
func numbered(data []byte) bool {
	const key = `","seq":`
	i := bytes.Index(data, []byte(key)) + len(key)
	return i >= len(key) && i < len(data) && '1' <= data[i] && data[i] <= '9'
}

func readSlowly(data []byte) (verdict, error) {
	var ack struct {
		Stream    string `json:"stream"`
		Seq       uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Code        int    `json:"code"`
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return unclear, fmt.Errorf("answer is not JetStream's: %.80q", data)
	}
	switch e := ack.Error; {
	case e != nil && surelyNot(e.ErrCode, e.Description):
		return refused, fmt.Errorf("server refuses it: %.200s (%d)", e.Description, e.ErrCode)
	case e != nil:
		return unclear, fmt.Errorf("server answers: %.200s (%d)", e.Description, e.ErrCode)
	case ack.Stream == "" || ack.Seq == 0:
		return unclear, fmt.Errorf("answer is not JetStream's: %.80q", data)
	case ack.Duplicate:
		return duplicate, nil
	}
	return stored, nil
}

// surelyNot says whether an error means that nothing was stored. A write that failed
// half-way is not among them.
func surelyNot(code int, text string) bool {
	switch code {
	case codeStore:
		return strings.HasPrefix(text, "maximum ")
	case codeResources, codeStorage, codeTooLarge, codeSealed:
		return true
	}
	return false
}

// appendReply makes the last token of a publish's reply subject: which pack, and
// which of its publishes. An answer to the first one is judged otherwise than a later's.
func appendReply(dst []byte, id uint64, publish int) []byte {
	dst = strconv.AppendUint(dst, id, 36)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, int64(publish), 36)
}

// parseReply reads what appendReply wrote behind the inbox prefix.
func parseReply(subject, prefix string) (id uint64, publish int, ok bool) {
	rest, found := strings.CutPrefix(subject, prefix)
	first, second, cut := strings.Cut(rest, "-")
	if !found || !cut {
		return 0, 0, false
	}
	id, err := strconv.ParseUint(first, 36, 64)
	if err != nil {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(second, 36, 32)
	return id, int(n), err == nil
}
