package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Difference is one setting of an existing stream that is not as wanted and was left as it is.
type Difference struct {
	Setting, Have, Want string
	// Blocks says that dlog cannot work with the stream as it is. Otherwise the stream merely keeps more than wanted.
	Blocks bool
}

// A Conflict is the error of Ensure for an existing stream that it could not change without removing something.
type Conflict struct {
	Stream      string
	Differences []Difference
}

// Error names each setting with both values, on one line.
func (c *Conflict) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stream %s exists with other settings, which are left as they are:", c.Stream)
	for i, d := range c.Differences {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s is %s, wanted %s", d.Setting, d.Have, d.Want)
	}
	return b.String()
}

// Blocks reports whether any of the differences makes the stream useless to dlog.
func (c *Conflict) Blocks() bool {
	return slices.ContainsFunc(c.Differences, func(d Difference) bool { return d.Blocks })
}

// errSubjectsTaken and errNoRoom are the server's codes for subjects that another stream has, and for limits whose sum
// exceeds the server's own (server/errors.json of nats-server 2.15).
const (
	errSubjectsTaken jetstream.ErrorCode = 10065
	errNoRoom        jetstream.ErrorCode = 10047
)

// Ensure makes the stream if there is none. An existing one is changed only where nothing that it holds is lost by it: limits go up,
// or down as far as what is stored; an error that is a *Conflict names what was left. All that the Spec
// does not name stays.
func Ensure(ctx context.Context, js jetstream.JetStream, spec Spec) error {
	have, err := js.Stream(ctx, spec.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return create(ctx, js, spec)
	}
	if err != nil {
		return fmt.Errorf("look for stream %s: %w", spec.Name, err)
	}
	info := have.CachedInfo()
	next, left := spec.change(info)
	if !sameConfig(next, info.Config) {
		if _, err := js.UpdateStream(ctx, next); err != nil {
			return explain("change", spec, err)
		}
	}
	if len(left) > 0 {
		return &Conflict{Stream: spec.Name, Differences: left}
	}
	return nil
}

func create(ctx context.Context, js jetstream.JetStream, spec Spec) error {
	_, err := js.CreateStream(ctx, spec.config())
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return Ensure(ctx, js, spec) // another process was faster, with other settings
	}
	return explain("create", spec, err)
}

func explain(verb string, spec Spec, err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case errSubjectsTaken:
			return fmt.Errorf("%s stream %s: another stream already takes its subjects %s: %w", verb, spec.Name, strings.Join(spec.Subjects, ", "), err)
		case errNoRoom:
			return fmt.Errorf("%s stream %s: the server's storage limit has no room for its max_bytes of %d: %w", verb, spec.Name, spec.MaxBytes, err)
		}
	}
	return fmt.Errorf("%s stream %s: %w", verb, spec.Name, err)
}

// change computes the settings that the existing stream gets and those that it keeps against the Spec's wish.
func (s Spec) change(info *jetstream.StreamInfo) (next jetstream.StreamConfig, left []Difference) {
	have, want := info.Config, s.config()
	next = have
	leave := func(setting string, have, want any, blocks bool) {
		left = append(left, Difference{Setting: setting, Have: fmt.Sprint(have), Want: fmt.Sprint(want), Blocks: blocks})
	}
	if !sameSubjects(have.Subjects, want.Subjects) {
		leave("subjects", strings.Join(have.Subjects, " "), strings.Join(want.Subjects, " "), true)
	}
	if have.Storage != want.Storage {
		leave("storage", have.Storage, want.Storage, true)
	}
	if have.Retention != want.Retention {
		leave("retention", have.Retention, want.Retention, true)
	}
	if have.Sealed {
		leave("sealed", true, false, true)
	}
	if s.LastOnly && have.MaxMsgsPerSubject != want.MaxMsgsPerSubject {
		leave("max_msgs_per_subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, true)
	}
	if len(left) > 0 {
		return have, left
	}
	if agesOut(info, want.MaxAge) {
		leave("max_age", orForever(have.MaxAge), want.MaxAge, false)
	} else {
		next.MaxAge = want.MaxAge
	}
	if want.MaxBytes > 0 && int64(info.State.Bytes) > want.MaxBytes && (have.MaxBytes <= 0 || have.MaxBytes > want.MaxBytes) {
		leave("max_bytes", have.MaxBytes, fmt.Sprintf("%d (it holds %d)", want.MaxBytes, info.State.Bytes), false)
	} else {
		next.MaxBytes = want.MaxBytes
	}
	next.Discard, next.Compression, next.AllowDirect = want.Discard, want.Compression, true
	next.Duplicates = want.Duplicates
	if next.MaxAge > 0 {
		next.Duplicates = min(next.Duplicates, next.MaxAge)
	}
	if s.LastOnly {
		next.AllowMsgTTL, next.SubjectDeleteMarkerTTL = true, want.SubjectDeleteMarkerTTL
	}
	return next, left
}

// agesOut reports whether the stream holds messages that a lower age would remove.
func agesOut(info *jetstream.StreamInfo, age time.Duration) bool {
	if age <= 0 || (info.Config.MaxAge > 0 && info.Config.MaxAge <= age) || info.State.Msgs == 0 {
		return false
	}
	return time.Since(info.State.FirstTime) > age
}

func orForever(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return d.String()
}

// sameConfig compares the settings that change touches.
func sameConfig(a, b jetstream.StreamConfig) bool {
	return a.MaxAge == b.MaxAge && a.MaxBytes == b.MaxBytes && a.Discard == b.Discard && a.Compression == b.Compression &&
		a.AllowDirect == b.AllowDirect && a.Duplicates == b.Duplicates && a.AllowMsgTTL == b.AllowMsgTTL &&
		a.SubjectDeleteMarkerTTL == b.SubjectDeleteMarkerTTL
}

// sameSubjects compares two lists without regard to their order.
func sameSubjects(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
