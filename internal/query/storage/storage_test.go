// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package storage_test

import (
	"bytes"
	"context"
	"math"
	"math/big"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/query/storage"
)

// fake serves one table, a message per record batch.
type fake struct {
	storagepb.UnimplementedBigQueryReadServer
	schema  *arrow.Schema
	batches []arrow.RecordBatch

	// session and rows may refuse a call; rows sees the offset and the number of
	// the batch that comes next.
	session func() error
	rows    func(offset int64, batch int) error
	none    bool // no stream, as for an empty table

	mu       sync.Mutex
	requests []*storagepb.CreateReadSessionRequest
	offsets  []int64
}

// encode returns the schema message and the message of a batch.
func encode(schema *arrow.Schema, batch arrow.RecordBatch) (schemaMessage, batchMessage []byte) {
	var empty, full bytes.Buffer
	w := ipc.NewWriter(&empty, ipc.WithSchema(schema))
	_ = w.Close()
	schemaMessage = empty.Bytes()[:empty.Len()-8] // without the end of the stream
	if batch != nil {
		w = ipc.NewWriter(&full, ipc.WithSchema(schema))
		_ = w.Write(batch)
		batchMessage = full.Bytes()[len(schemaMessage):]
	}
	return schemaMessage, batchMessage
}

func (f *fake) CreateReadSession(_ context.Context, r *storagepb.CreateReadSessionRequest) (*storagepb.ReadSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	if f.session != nil {
		if err := f.session(); err != nil {
			return nil, err
		}
	}
	schema, _ := encode(f.schema, nil)
	s := &storagepb.ReadSession{Schema: &storagepb.ReadSession_ArrowSchema{ArrowSchema: &storagepb.ArrowSchema{SerializedSchema: schema}}}
	if !f.none {
		s.Streams = []*storagepb.ReadStream{{Name: "the-stream"}}
	}
	return s, nil
}

func (f *fake) ReadRows(r *storagepb.ReadRowsRequest, stream storagepb.BigQueryRead_ReadRowsServer) error {
	f.mu.Lock()
	f.offsets = append(f.offsets, r.GetOffset())
	f.mu.Unlock()
	if r.GetReadStream() != "the-stream" {
		return status.Error(codes.NotFound, r.GetReadStream())
	}
	start := int64(0)
	for i, batch := range f.batches {
		if start += batch.NumRows(); start <= r.GetOffset() {
			continue
		}
		if f.rows != nil {
			if err := f.rows(r.GetOffset(), i); err != nil {
				return err
			}
		}
		_, message := encode(f.schema, batch)
		if err := stream.Send(&storagepb.ReadRowsResponse{
			RowCount: batch.NumRows(),
			Rows:     &storagepb.ReadRowsResponse_ArrowRecordBatch{ArrowRecordBatch: &storagepb.ArrowRecordBatch{SerializedRecordBatch: message}},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) reader(t *testing.T) *storage.Reader {
	t.Helper()
	return serve(t, f)
}

func serve(t *testing.T, api storagepb.BigQueryReadServer) *storage.Reader {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	storagepb.RegisterBigQueryReadServer(server, api)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return storage.New(func(context.Context) (grpc.ClientConnInterface, error) { return connection, nil }, "payer")
}

var someTable = query.Table{Project: "p", Dataset: "_anon", ID: "t"}

func read(t *testing.T, r *storage.Reader, schema query.Schema) ([]query.Row, error) {
	t.Helper()
	rows, err := r.Open(t.Context(), someTable, schema)
	if err != nil {
		return nil, err
	}
	var out []query.Row
	for row, err := range rows {
		if err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}

func power(exponent int64) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(exponent), nil)
}

// Every type as the documentation of the API maps it to Arrow, and the texts that the
// REST API sends for the same values.
func TestTypes(t *testing.T) {
	micros := &arrow.TimestampType{Unit: arrow.Microsecond}
	dates := arrow.StructOf(arrow.Field{Name: "start", Type: arrow.FixedWidthTypes.Date32, Nullable: true}, arrow.Field{Name: "end", Type: arrow.FixedWidthTypes.Date32, Nullable: true})
	times := arrow.StructOf(arrow.Field{Name: "start", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true}, arrow.Field{Name: "end", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true})
	item := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, arrow.Field{Name: "l", Type: arrow.ListOf(arrow.BinaryTypes.String)})
	maxNumeric, _ := new(big.Int).SetString(strings.Repeat("9", 38), 10)
	maxBig := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1))
	for _, test := range []struct {
		field query.Field
		typ   arrow.DataType
		fill  func(array.Builder)
		want  []any
	}{
		{query.Field{Type: "BOOL"}, arrow.FixedWidthTypes.Boolean, func(b array.Builder) { b.(*array.BooleanBuilder).AppendValues([]bool{true, false}, nil) }, []any{true, false}},
		{query.Field{Type: "INT64"}, arrow.PrimitiveTypes.Int64, func(b array.Builder) {
			b.(*array.Int64Builder).AppendValues([]int64{math.MinInt64, math.MaxInt64}, nil)
		}, []any{int64(math.MinInt64), int64(math.MaxInt64)}},
		{query.Field{Type: "FLOAT64"}, arrow.PrimitiveTypes.Float64, func(b array.Builder) {
			b.(*array.Float64Builder).AppendValues([]float64{0.1, math.Inf(-1), 5e-324}, nil)
		}, []any{0.1, math.Inf(-1), 5e-324}},
		{query.Field{Type: "NUMERIC"}, &arrow.Decimal128Type{Precision: 38, Scale: 9}, func(b array.Builder) {
			d := b.(*array.Decimal128Builder)
			d.Append(decimal128.FromBigInt(maxNumeric))
			d.Append(decimal128.FromBigInt(new(big.Int).Neg(maxNumeric)))
			for _, n := range []int64{0, -1, 42_000_000_000, 1_500_000_000, -100_000_000} {
				d.Append(decimal128.FromI64(n))
			}
		}, []any{"99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999", "0", "-0.000000001", "42", "1.5", "-0.1"}},
		{query.Field{Type: "NUMERIC"}, &arrow.Decimal128Type{Precision: 10, Scale: 0}, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.FromI64(1000))
		}, []any{"1000"}},
		{query.Field{Type: "BIGNUMERIC"}, &arrow.Decimal256Type{Precision: 76, Scale: 38}, func(b array.Builder) {
			d := b.(*array.Decimal256Builder)
			d.Append(decimal256.FromBigInt(maxBig))
			d.Append(decimal256.New(1<<63, 0, 0, 0))
			d.Append(decimal256.FromBigInt(power(38)))
			d.Append(decimal256.FromI64(1))
		}, []any{
			"578960446186580977117854925043439539266.34992332820282019728792003956564819967", "-578960446186580977117854925043439539266.34992332820282019728792003956564819968",
			"1", "0.00000000000000000000000000000000000001",
		}},
		{query.Field{Type: "STRING"}, arrow.BinaryTypes.String, func(b array.Builder) {
			b.(*array.StringBuilder).AppendValues([]string{"", "é\x00\n"}, nil)
		}, []any{"", "é\x00\n"}},
		{query.Field{Type: "JSON"}, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append(`{"a":1.0}`) }, []any{`{"a":1.0}`}},
		{query.Field{Type: "GEOGRAPHY"}, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("POINT(1 2)") }, []any{"POINT(1 2)"}},
		{query.Field{Type: "BYTES"}, arrow.BinaryTypes.Binary, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0, 255}) }, []any{[]byte{0, 255}}},
		{query.Field{Type: "DATE"}, arrow.FixedWidthTypes.Date32, func(b array.Builder) {
			b.(*array.Date32Builder).AppendValues([]arrow.Date32{-719162, 0, 2932896}, nil)
		}, []any{"0001-01-01", "1970-01-01", "9999-12-31"}},
		{query.Field{Type: "TIME"}, arrow.FixedWidthTypes.Time64us, func(b array.Builder) {
			b.(*array.Time64Builder).AppendValues([]arrow.Time64{0, 86399999999, 3600000000 + 500000}, nil)
		}, []any{"00:00:00", "23:59:59.999999", "01:00:00.5"}},
		{query.Field{Type: "DATETIME"}, micros, func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{-62135596800000000, -1, 253402300799999999}, nil)
		}, []any{"0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"}},
		{query.Field{Type: "TIMESTAMP"}, arrow.FixedWidthTypes.Timestamp_us, func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{-62135596800000000, 1715411289120000, 253402300799999999}, nil)
		}, []any{"0001-01-01T00:00:00Z", "2024-05-11T07:08:09.12Z", "9999-12-31T23:59:59.999999Z"}},
		{query.Field{Type: "RANGE", Element: "DATE"}, dates, func(b array.Builder) {
			s := b.(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).(*array.Date32Builder).Append(0)
			s.FieldBuilder(1).AppendNull()
		}, []any{"[1970-01-01, UNBOUNDED)"}},
		{query.Field{Type: "RANGE", Element: "TIMESTAMP"}, times, func(b array.Builder) {
			s := b.(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).AppendNull()
			s.FieldBuilder(1).(*array.TimestampBuilder).Append(1)
		}, []any{"[UNBOUNDED, 1970-01-01T00:00:00.000001Z)"}},
		{query.Field{Type: "STRUCT", Repeated: true, Fields: []query.Field{{Name: "x", Type: "INT64"}, {Name: "l", Type: "STRING", Repeated: true}}}, arrow.ListOf(item), func(b array.Builder) {
			list := b.(*array.ListBuilder)
			s := list.ValueBuilder().(*array.StructBuilder)
			l := s.FieldBuilder(1).(*array.ListBuilder)
			list.Append(true)
			s.Append(true)
			s.FieldBuilder(0).(*array.Int64Builder).Append(1)
			l.Append(true)
			l.ValueBuilder().(*array.StringBuilder).AppendValues([]string{"p", "q"}, nil)
			s.Append(true)
			s.FieldBuilder(0).AppendNull()
			l.Append(true)
			list.Append(true)
		}, []any{[]any{query.Row{int64(1), []any{"p", "q"}}, query.Row{nil, []any{}}}, []any{}}},
	} {
		t.Run(test.field.SQLType(), func(t *testing.T) {
			test.field.Name = "c"
			schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: test.typ, Nullable: true}}, nil)
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			test.fill(b.Field(0))
			if !test.field.Repeated {
				b.Field(0).AppendNull()
				test.want = append(test.want, nil)
			}
			f := &fake{schema: schema, batches: []arrow.RecordBatch{b.NewRecordBatch()}}
			rows, err := read(t, f.reader(t), query.Schema{test.field})
			if err != nil {
				t.Fatal(err)
			}
			var got []any
			for _, row := range rows {
				got = append(got, row[0])
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %#v\nwant %#v", got, test.want)
			}
		})
	}
}

var (
	numbers     = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	numbersRows = query.Schema{{Name: "n", Type: "INT64"}}
)

// counting returns batches of the numbers from 0, of the given sizes.
func counting(sizes ...int) []arrow.RecordBatch {
	var out []arrow.RecordBatch
	n := int64(0)
	for _, size := range sizes {
		b := array.NewRecordBuilder(memory.DefaultAllocator, numbers)
		for range size {
			b.Field(0).(*array.Int64Builder).Append(n)
			n++
		}
		out = append(out, b.NewRecordBatch())
	}
	return out
}

func checkCounting(t *testing.T, rows []query.Row, want int) {
	t.Helper()
	if len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
	for i, row := range rows {
		if row[0] != int64(i) {
			t.Fatalf("row %d is %v", i, row[0])
		}
	}
}

func TestSession(t *testing.T) {
	f := &fake{schema: numbers, batches: counting(3, 0, 1000, 1)}
	rows, err := read(t, f.reader(t), numbersRows)
	if err != nil {
		t.Fatal(err)
	}
	checkCounting(t, rows, 1004)
	r := f.requests[0]
	if r.GetParent() != "projects/payer" || r.GetReadSession().GetTable() != "projects/p/datasets/_anon/tables/t" ||
		r.GetReadSession().GetDataFormat() != storagepb.DataFormat_ARROW || r.GetMaxStreamCount() != 1 {
		t.Errorf("asked for %v", r)
	}
	f = &fake{schema: numbers, none: true}
	if rows, err := read(t, f.reader(t), numbersRows); err != nil || len(rows) != 0 {
		t.Errorf("an empty table: %d rows, %v", len(rows), err)
	}
}

// A stream that breaks goes on where it was, each row once.
func TestBrokenStream(t *testing.T) {
	broken := 0
	f := &fake{schema: numbers, batches: counting(10, 10, 10)}
	f.rows = func(offset int64, batch int) error {
		if batch > 0 && broken < batch {
			broken++
			return status.Error(codes.Unavailable, "Stream removed")
		}
		return nil
	}
	rows, err := read(t, f.reader(t), numbersRows)
	if err != nil {
		t.Fatal(err)
	}
	checkCounting(t, rows, 30)
	if !reflect.DeepEqual(f.offsets, []int64{0, 10, 20}) {
		t.Errorf("opened at %d", f.offsets)
	}
}

func TestFailureInTheMiddle(t *testing.T) {
	f := &fake{schema: numbers, batches: counting(10, 10)}
	f.rows = func(_ int64, batch int) error {
		if batch == 1 {
			return status.Error(codes.FailedPrecondition, "the session has expired")
		}
		return nil
	}
	rows, err := read(t, f.reader(t), numbersRows)
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	checkCounting(t, rows, 10)
}

// What cannot be read in this way is refused by Open, before any row.
func TestRefusals(t *testing.T) {
	denied := func() error { return status.Error(codes.PermissionDenied, "bigquery.readsessions.create") }
	for name, test := range map[string]struct {
		f      *fake
		schema query.Schema
		want   string
	}{
		"no session":     {&fake{schema: numbers, session: denied}, numbersRows, "readsessions.create"},
		"no data":        {&fake{schema: numbers, batches: counting(1), rows: func(int64, int) error { return status.Error(codes.PermissionDenied, "readsessions.getData") }}, numbersRows, "getData"},
		"another name":   {&fake{schema: numbers}, query.Schema{{Name: "m", Type: "INT64"}}, `"m" in the result set`},
		"another number": {&fake{schema: numbers}, append(numbersRows, query.Field{Name: "m", Type: "INT64"}), "1 columns and the result set 2"},
		"an interval":    {&fake{schema: numbers}, query.Schema{{Name: "s", Type: "STRUCT", Fields: []query.Field{{Name: "i", Type: "INTERVAL"}}}}, "no Arrow type is documented for INTERVAL"},
		"a new type":     {&fake{schema: numbers}, query.Schema{{Name: "n", Type: "TENSOR"}}, "TENSOR"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := test.f.reader(t).Open(t.Context(), someTable, test.schema); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	// The types of the columns show in the first batch only.
	f := &fake{schema: numbers, batches: counting(1)}
	if _, err := read(t, f.reader(t), query.Schema{{Name: "n", Type: "STRING"}}); err == nil || !strings.Contains(err.Error(), "int64 for a column of type STRING") {
		t.Errorf("got %v", err)
	}
}

func TestGarbage(t *testing.T) {
	f := &fake{schema: numbers, batches: counting(10)}
	_, message := encode(numbers, f.batches[0])
	// A hostile or broken server must cause an error, not a panic.
	for cut := 1; cut < len(message); cut += 7 {
		r := serve(t, &cutting{fake: fake{schema: f.schema}, message: message[:cut]})
		if rows, err := read(t, r, numbersRows); err == nil && len(rows) == 10 {
			t.Errorf("%d of %d bytes were enough", cut, len(message))
		}
	}
}

// cutting serves one message that is not whole.
type cutting struct {
	fake
	message []byte
}

func (c *cutting) ReadRows(_ *storagepb.ReadRowsRequest, stream storagepb.BigQueryRead_ReadRowsServer) error {
	return stream.Send(&storagepb.ReadRowsResponse{
		RowCount: 10,
		Rows:     &storagepb.ReadRowsResponse_ArrowRecordBatch{ArrowRecordBatch: &storagepb.ArrowRecordBatch{SerializedRecordBatch: c.message}},
	})
}
