package sink

import "github.com/dlog-fabric/dlog/pkg/cond"

// filterOf compiles the conditions of a sink; none lets everything through.
func filterOf(where []string) (Filter, error) {
	if len(where) == 0 {
		return nil, nil
	}
	w, err := cond.ParseWhere(where)
	if err != nil {
		return nil, err
	}
	return w, nil
}
