// Package dloghttp takes tasks over HTTP.
//
//	mux := http.NewServeMux()
//	mux.HandleFunc("POST /orders/{id}", placeOrder)
//	http.ListenAndServe(addr, dloghttp.Handler(d, mux))
//
//	client := &http.Client{Transport: dloghttp.Transport(d, nil)}
//
// # The server's side
//
// Each request is a task named by the pattern of its route ("POST /orders/{id}"), never by its URL: names travel in subjects, and there are
// endlessly many URLs. Without a pattern the name is the method alone. A request whose sender passed a token on
// continues the sender's task; with a W3C traceparent alone it stands in that trace. Tokens are taken from loopback,
// private addresses and Config.Proxies only; all else, and with [Public] everything, begins a new trace and keeps what was sent as a link.
//
// Statuses of 500 and above and panics have failed. 4xx has succeeded: the server did what it should, and said no ([Fail4xx]). A client that went away has
// cancelled.
//
// # The client's side
//
// The task of a call's context is handed over: the server's task stands below it, and a call that is tried again becomes another attempt beside the first.
// The headers Dlog-Task and traceparent go to hosts inside only (loopback, private addresses, Config.Inside), and a traceparent that is already
// there stays. With [Calls] or [Name] each call is a task as well: an error has failed, and so has a status of 500 and above; it ends when the
// answer's head is there, not its body.
package dloghttp
