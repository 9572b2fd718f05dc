package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/sink"
)

// Config is the file's part of a [[sink]] table.
type Config struct {
	// Path is the file. Directories that are missing are made.
	Path string `toml:"path"`
	// AgainWindow is how much of the end of what is stored is read when the file is opened, to know what it holds: 128 MiB by
	// default, which takes about half a second.
	AgainWindow config.Size `toml:"again_window"`
	// BatchWait is how long an entry may wait for others before all are written and synced: 50 ms by default.
	BatchWait config.Duration `toml:"batch_wait"`
	// RotateSize is how large the file may become before it is rotated, 256 MiB by default; a single batch may be larger. 0
	// is without bound.
	RotateSize config.Size `toml:"rotate_size"`
	// RotateEvery rotates at the full multiples of this duration in UTC: "1h" at each full hour, "1d" at midnight, "7d" on
	// Mondays. A file without lines is not rotated. 0, the default, never does.
	RotateEvery config.Duration `toml:"rotate_every"`
	// Compress is "zstd" (the default) or "none", for rotated files.
	Compress string `toml:"compress"`
	// KeepAge, KeepBytes and KeepFiles bound the rotated files, the oldest go first: by the time of their rotation, by the bytes of all
	// files together (FILE included), by their number. 0, the default of all three, removes nothing.
	KeepAge   config.Duration `toml:"keep_age"`
	KeepBytes config.Size     `toml:"keep_bytes"`
	KeepFiles int             `toml:"keep_files"`
	// Mode is the mode of a file that is made, less the umask: "0640" by default. What takes the place of a file that is there (by
	// rotation, by compression) gets the mode of that, and its owner and group where the process may give them.
	Mode string `toml:"mode"`
}

// New is a sink.NewKind.
func New() sink.Settings {
	return &Config{
		AgainWindow: 128 << 20, BatchWait: config.Duration(50 * time.Millisecond),
		RotateSize: 256 << 20, Compress: "zstd", Mode: "0640",
	}
}

// Validate reports what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Path == "" {
		add("path: missing; write the name of the file")
	}
	if c.BatchWait < 0 || time.Duration(c.BatchWait) > 10*time.Second {
		add("batch_wait %v: write a duration up to 10s", c.BatchWait)
	}
	if c.RotateEvery != 0 && time.Duration(c.RotateEvery) < time.Second {
		add("rotate_every %v: write a duration of at least 1s", c.RotateEvery)
	}
	if c.Compress != "zstd" && c.Compress != "none" {
		add(`compress %q: write "zstd" or "none"`, c.Compress)
	}
	if c.KeepFiles < 0 {
		add("keep_files %d: write how many rotated files to keep, 0 for all", c.KeepFiles)
	}
	if c.keeps() && c.RotateSize == 0 && c.RotateEvery == 0 {
		add("keep_age, keep_bytes and keep_files are for rotated files: set rotate_size or rotate_every")
	}
	if c.KeepBytes > 0 && c.KeepBytes < c.RotateSize {
		add("keep_bytes %v: less than rotate_size %v, one file alone would be too much", c.KeepBytes, c.RotateSize)
	}
	if _, err := c.mode(); err != nil {
		add(`mode %q: write an octal file mode such as "0640"`, c.Mode)
	}
	return errors.Join(errs...)
}

func (c *Config) keeps() bool { return c.KeepAge > 0 || c.KeepBytes > 0 || c.KeepFiles > 0 }

// mode parses Mode. Whoever writes a file must be able to read it.
func (c *Config) mode() (fs.FileMode, error) {
	m, err := strconv.ParseUint(c.Mode, 8, 32)
	if err != nil || m > 0o777 || m&0o600 != 0o600 {
		return 0, errors.Join(err, strconv.ErrRange)
	}
	return fs.FileMode(m), nil
}

// Destination is the file: two sinks cannot write to one.
func (c *Config) Destination() string {
	if c.Path == "" {
		return ""
	}
	return filepath.Clean(c.Path)
}

// Kind makes the file's sink without touching the file.
func (c *Config) Kind(env sink.Env) (sink.Kind, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	mode, err := c.mode()
	if err != nil {
		return nil, err
	}
	meter, err := newMeter(env.Metrics, env.Log.With().Str("sink", env.Name).Logger())
	if err != nil {
		return nil, err
	}
	return &file{cfg: *c, mode: mode, path: filepath.Clean(c.Path), disk: osDisk{}, now: time.Now, meter: meter, wake: make(chan struct{}, 1)}, nil
}
