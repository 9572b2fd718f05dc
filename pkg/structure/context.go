package structure

import (
	"context"

	"github.com/rs/zerolog"
)

// taskKey is the key under which a context holds its task.
type taskKey struct{}

// taskContext is the context that Start returns. It holds the task and stands in for the logger too, so that a task's logger is made when
// somebody asks for it and a task costs one allocation.
type taskContext struct {
	context.Context
	t *Task
}

// Value implements [context.Context].
func (c *taskContext) Value(key any) any {
	if _, ok := key.(taskKey); ok {
		return c.t
	}
	if key == loggerKey && key != nil {
		return c.t.Logger()
	}
	return c.Context.Value(key)
}

// TaskFrom returns the task of the context, nil where there is none. Methods of a nil task do nothing.
func TaskFrom(ctx context.Context) *Task {
	if ctx == nil {
		return nil
	}
	if c, ok := ctx.(*taskContext); ok {
		return c.t
	}
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

// loggerKey is the key under which zerolog looks for a context's logger. The type is private to zerolog, so zerolog is asked once: storing a
// logger looks for a former one first. It is nil if zerolog should ever cease to, and loggers are then stored in the ordinary way.
var loggerKey = findLoggerKey()

func findLoggerKey() any {
	var seen keySpy
	l := zerolog.New(nil)
	l.WithContext(&seen)
	if seen.key == nil {
		return nil
	}
	probe := &l
	if zerolog.Ctx(context.WithValue(context.Background(), seen.key, probe)) != probe {
		return nil
	}
	return seen.key
}

// keySpy remembers the first key it is asked for.
type keySpy struct {
	backgroundContext
	key any
}

type backgroundContext struct{ context.Context }

// Value implements [context.Context].
func (s *keySpy) Value(key any) any {
	if s.key == nil {
		s.key = key
	}
	return nil
}
