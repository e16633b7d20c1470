// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package emulator is a local twin of the Google APIs that gcpml uses: Vertex AI
// (models, endpoints, predictions, operations), BigQuery with remote models,
// BigQuery connections, project IAM and Cloud Storage. It is not Google Cloud:
// what it does and does not do is listed in README.md, and what is not known of
// the real services in UNKNOWNS.md.
//
//	srv, err := emulator.Start(ctx, emulator.Options{})
//	if err != nil { … }
//	defer srv.Close()
//	os.Setenv("GCPML_EMULATOR_HOST", srv.Addr)
package emulator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/rest"
)

// Options configures an emulator. The zero value is ready to use.
type Options struct {
	// Listen is the loopback address to listen on; default "127.0.0.1:0".
	Listen string
	// OperationLatency is how long a long-running operation takes.
	OperationLatency time.Duration
	// DeployLatency, if set, is how long deploying a model takes instead.
	DeployLatency time.Duration
	// JobLatency is how long a BigQuery job runs before it has an effect.
	JobLatency time.Duration
	// IAMLag is the time after which a changed IAM policy takes effect.
	IAMLag time.Duration
	// Assume holds "key=value" settings of the switches in UNKNOWNS.md.
	Assume []string
	// ModelServers maps container images to model servers: "pattern=URL", where
	// "*" in the pattern stands for any characters and the URL is a loopback one.
	ModelServers []string
	// PublisherModels are files that each hold one PublisherModel of Model Garden in
	// JSON, as v1beta1 has it. A later one of a name is its newest version.
	PublisherModels []string
	// Objects are put into Cloud Storage at the start; their buckets are made.
	Objects []Object
	// StorageDir is a folder with one sub-folder for each bucket to start with. It
	// cannot be combined with Objects.
	StorageDir string
	// EnableFaults opens the parts of /_emulator/ that change what the emulator does.
	EnableFaults bool
	// FaultToken is what a request to them has to bring; default: a random one.
	FaultToken string
	// Logger receives what happens; default: nothing is logged.
	Logger *slog.Logger
}

// Object is a Cloud Storage object.
type Object struct {
	Bucket  string
	Name    string
	Content []byte
}

// Server is a running emulator.
type Server struct {
	// Addr is the "host:port" it listens on.
	Addr string
	// FaultToken opens what [Options.EnableFaults] enables; empty without that.
	FaultToken string

	http    *http.Server
	served  chan struct{}
	cancel  context.CancelFunc
	faults  *fault.Set
	closers []func() // run in reverse order
}

// Start starts an emulator and returns when it answers. ctx bounds the start
// only; the emulator runs until [Server.Close].
func Start(ctx context.Context, opts Options) (_ *Server, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	listener, err := listen(ctx, opts.Listen)
	if err != nil {
		return nil, err
	}
	base, cancel := context.WithCancel(context.Background())
	s := &Server{
		Addr:   listener.Addr().String(),
		served: make(chan struct{}),
		cancel: cancel,
		faults: fault.NewSet(),
	}
	if opts.EnableFaults {
		s.FaultToken = opts.FaultToken
		if s.FaultToken == "" {
			s.FaultToken = rand.Text()
		}
	}
	defer func() {
		if err != nil {
			_ = listener.Close()
			cancel()
			s.runClosers()
		}
	}()
	handler, err := s.wire(ctx, opts)
	if err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           rest.Guard(handler),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       fault.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true) // what gRPC clients speak without TLS
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// Close stops the emulator: no new calls, running ones are cancelled, everything
// it started has ended when Close returns.
func (s *Server) Close() error {
	s.faults.Remove("") // held replies would keep their connections open
	s.cancel()
	ctx, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.served
	s.runClosers()
	return err
}

func (s *Server) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *Server) runClosers() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// listen opens the port; it refuses addresses that other machines can reach,
// because the emulator checks no credentials.
func listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--listen %q: want host:port such as 127.0.0.1:9123", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--listen %q: only a loopback address such as 127.0.0.1 is allowed, because the emulator checks no credentials", address)
	}
	var cfg net.ListenConfig
	listener, err := cfg.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("--listen %q: the port is in use; stop the program that uses it or choose another port (port 0 takes a free one)", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--listen %q: %w", address, err)
	}
	return listener, nil
}
