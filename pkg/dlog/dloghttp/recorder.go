package dloghttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// recorder remembers the status and the size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements [http.ResponseWriter]. Informational statuses are not the answer.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is how [http.ResponseController] finds what the server's writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// code returns the status; a handler that wrote nothing has answered 200.
func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// wrap keeps the optional interfaces that handlers still ask for by a type assertion: flushing, taking the connection over, and the fast copy
// of files. The writers of net/http have all three (HTTP/1) or the first (HTTP/2).
func wrap(r *recorder) http.ResponseWriter {
	_, flushes := r.ResponseWriter.(http.Flusher)
	_, copies := r.ResponseWriter.(io.ReaderFrom)
	_, hijacks := r.ResponseWriter.(http.Hijacker)
	switch {
	case flushes && copies && hijacks:
		return struct {
			*recorder
			http.Flusher
			http.Hijacker
			io.ReaderFrom
		}{r, flusher{r}, hijacker{r}, copier{r}}
	case flushes && hijacks:
		return struct {
			*recorder
			http.Flusher
			http.Hijacker
		}{r, flusher{r}, hijacker{r}}
	case flushes:
		return struct {
			*recorder
			http.Flusher
		}{r, flusher{r}}
	}
	return r
}

type hijacker struct{ r *recorder }

// Hijack implements [http.Hijacker].
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.r.status == 0 {
		h.r.status = http.StatusSwitchingProtocols
	}
	return h.r.ResponseWriter.(http.Hijacker).Hijack()
}

type flusher struct{ r *recorder }

// Flush implements [http.Flusher].
func (f flusher) Flush() {
	if f.r.status == 0 {
		f.r.status = http.StatusOK
	}
	f.r.ResponseWriter.(http.Flusher).Flush()
}

type copier struct{ r *recorder }

// ReadFrom implements [io.ReaderFrom].
func (c copier) ReadFrom(src io.Reader) (int64, error) {
	if c.r.status == 0 {
		c.r.status = http.StatusOK
	}
	n, err := c.r.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
	c.r.bytes += n
	return n, err
}
