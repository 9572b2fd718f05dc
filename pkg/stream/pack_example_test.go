package stream_test

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

// What `nats pub` writes is a pack too: no header is required.
func ExampleDecodePack() {
	m := nats.Msg{Subject: "dlog.in.svc.info.-", Data: []byte(`{"level":"info","message":"hi"}`)}
	p, err := stream.DecodePack(m.Subject, m.Header, m.Data, stream.Limits{})
	fmt.Println(p.Count, p.Again, err)

	m.Header = nats.Header{stream.HdrContentType: {"application/cbor-seq"}}
	_, err = stream.DecodePack(m.Subject, m.Header, m.Data, stream.Limits{})
	fmt.Println(stream.ReasonOf(err))
	// Output:
	// 1 false <nil>
	// type
}

func ExampleLines() {
	for line := range stream.Lines([]byte("{\"n\":1}\r\n\n{\"n\":2}")) {
		fmt.Printf("%s\n", line)
	}
	// Output:
	// {"n":1}
	// {"n":2}
}
