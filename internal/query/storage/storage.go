// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package storage reads the result table of a job through the BigQuery Storage Read
// API: Arrow record batches over gRPC, which is several times faster than JSON pages.
//
// A session has one stream, so that rows come in the order of the table, which is
// the one of the query's ORDER BY. A stream that breaks is opened again where the
// last message ended.
//
// It is a package of its own because the Arrow library is large and the provider,
// which runs queries too, has no use for it.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Reader is a [query.TableReader]. It is safe for concurrent use.
type Reader struct {
	connect func(context.Context) (grpc.ClientConnInterface, error)
	project string
}

// New returns a reader whose sessions belong to project, which needs
// bigquery.readsessions.create there. connect is called when a table is read.
func New(connect func(context.Context) (grpc.ClientConnInterface, error), project string) *Reader {
	return &Reader{connect, project}
}

// Open makes a session and waits for its first message, so that whoever may not read
// is refused here, and not in the middle of the rows.
func (r *Reader) Open(ctx context.Context, table query.Table, schema query.Schema) (iter.Seq2[query.Row, error], error) {
	if err := known(schema); err != nil {
		return nil, err
	}
	connection, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{api: storagepb.NewBigQueryReadClient(connection)}
	// Sent once and with little patience: the pages are there if this fails.
	name := fmt.Sprintf("projects/%s/datasets/%s/tables/%s", table.Project, table.Dataset, table.ID)
	brief, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	made, err := s.api.CreateReadSession(routed(brief, "read_session.table", name), &storagepb.CreateReadSessionRequest{
		Parent:         "projects/" + r.project,
		ReadSession:    &storagepb.ReadSession{Table: name, DataFormat: storagepb.DataFormat_ARROW},
		MaxStreamCount: 1,
	})
	if err != nil {
		return nil, err
	}
	if s.batches, err = newBatches(made.GetArrowSchema().GetSerializedSchema(), schema); err != nil {
		return nil, err
	}
	if len(made.GetStreams()) == 0 { // as is answered for a table without rows
		return func(func(query.Row, error) bool) {}, nil
	}
	s.stream = made.GetStreams()[0].GetName()
	ctx, stop := context.WithCancel(ctx)
	first, err := s.receive(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		stop()
		return nil, err
	}
	return func(yield func(query.Row, error) bool) {
		defer stop()
		for ; err == nil; first, err = s.receive(ctx) {
			for row, err := range s.batches.rows(first) {
				if !yield(row, err) || err != nil {
					return
				}
				s.offset++
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, fmt.Errorf("cannot read the rows: %w", err))
		}
	}, nil
}

// session is one pass over one table.
type session struct {
	api     storagepb.BigQueryReadClient
	batches *batches
	stream  string
	offset  int64 // rows that were used
	open    storagepb.BigQueryRead_ReadRowsClient
}

// receive returns the next record batch, or io.EOF.
func (s *session) receive(ctx context.Context) (batch []byte, err error) {
	var end error
	err = gcp.Retry(ctx, "bigquerystorage.readRows", func(ctx context.Context) error {
		for {
			if s.open == nil {
				var err error
				s.open, err = s.api.ReadRows(routed(ctx, "read_stream", s.stream), &storagepb.ReadRowsRequest{ReadStream: s.stream, Offset: s.offset})
				if err != nil {
					return err
				}
			}
			message, err := s.open.Recv()
			switch {
			case errors.Is(err, io.EOF): // an end, and no fault that Retry should know
				end = err
				return nil
			case err != nil:
				s.open = nil
				return err
			case message.GetRowCount() > 0:
				batch = message.GetArrowRecordBatch().GetSerializedRecordBatch()
				return nil
			}
		}
	})
	return batch, errors.Join(err, end)
}

// routed adds the header by which Google's front ends find the right server.
func routed(ctx context.Context, key, value string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-goog-request-params", key+"="+value)
}

// known refuses what the documentation of the API gives no Arrow type for.
func known(fields []query.Field) error {
	for _, f := range fields {
		switch f.Type {
		case "BOOL", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "STRING", "BYTES", "DATE", "TIME", "DATETIME", "TIMESTAMP", "GEOGRAPHY", "JSON", "RANGE":
		case "STRUCT":
			if err := known(f.Fields); err != nil {
				return err
			}
		default:
			return fmt.Errorf("column %q: no Arrow type is documented for %s", f.Name, f.Type)
		}
	}
	return nil
}
