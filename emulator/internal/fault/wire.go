// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
)

type (
	connKey     struct{}
	exchangeKey struct{}
)

// ConnContext is for http.Server: it lets faults reach the connection of a call.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Wire lets faults happen to the connection and to the bytes of an answer. It
// goes around everything that [Set.Unary] and [Set.Middleware] guard.
func (s *Set) Wire(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := newExchange(w, r)
		next.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
		x.finish(r.Context())
	})
}

// exchange is one request and its answer on the wire.
type exchange struct {
	http.ResponseWriter
	conn net.Conn // nil in tests without a server
	grpc bool
	// mid, once set, is the fault that happens to the body, which is kept in body
	// until the answer is whole.
	mid  *entry
	body bytes.Buffer
	dead bool // the connection was reset
}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	return &exchange{ResponseWriter: w, conn: conn, grpc: strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")}
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// cut says that a fault happens to the body.
func (x *exchange) cut(e *entry) {
	if x != nil {
		x.mid = e
	}
}

// WriteHeader sends the headers at once. The length of a body that will be
// changed is not yet known.
func (x *exchange) WriteHeader(status int) {
	if x.mid != nil {
		x.Header().Del("Content-Length")
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.mid == nil {
		return x.ResponseWriter.Write(p)
	}
	x.Header().Del("Content-Length") // if this sends the headers
	return x.body.Write(p)
}

// Flush lets answers through at once, unless they are kept.
func (x *exchange) Flush() {
	if x.mid == nil {
		x.flush()
	}
}

func (x *exchange) flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// reset resets the connection: what was written and not sent is lost, and the
// client sees a TCP RST. On HTTP/2 all calls of the connection go with it.
func (x *exchange) reset() {
	if x == nil {
		return
	}
	x.dead = true
	if tcp, ok := x.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
}

// abort ends the answer as it is.
func (x *exchange) abort() {
	if x.conn != nil {
		_ = x.conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// finish sends what was kept of the answer, with the fault in its middle.
func (x *exchange) finish(ctx context.Context) {
	if x.dead {
		panic(http.ErrAbortHandler)
	}
	e, body := x.mid, x.body.Bytes()
	if e == nil {
		return
	}
	if e.Action == Malformed {
		if x.grpc && len(body) == 0 {
			return // an error has no message that could be wrong; the fault has not fired
		}
		e.fire()
		_, _ = x.ResponseWriter.Write(spoil(body, x.grpc))
		return
	}
	part := int(float64(len(body)) * e.Fraction)
	_, _ = x.ResponseWriter.Write(body[:part])
	x.flush()
	e.fire()
	switch e.Action {
	case Truncate:
		x.abort()
	case Reset:
		x.reset()
		panic(http.ErrAbortHandler)
	default:
		if e.wait(ctx) != nil {
			x.abort()
		}
		_, _ = x.ResponseWriter.Write(body[part:])
	}
}

// spoil makes a body that does not decode: JSON with one brace too many, or gRPC
// messages of the right length full of bytes that are no protocol buffer.
func spoil(body []byte, isGRPC bool) []byte {
	if !isGRPC {
		return append([]byte{'{'}, body...)
	}
	const header, garbage = 5, 4 // a flag and a length come before each message
	var out []byte
	for len(body) >= header {
		size := int(binary.BigEndian.Uint32(body[1:header]))
		filled := max(size, garbage)
		out = append(out, 0)
		out = binary.BigEndian.AppendUint32(out, uint32(filled))
		out = append(out, bytes.Repeat([]byte{0xff}, filled)...)
		body = body[min(header+size, len(body)):]
	}
	return out
}
