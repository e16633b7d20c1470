// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
)

const (
	// distinct rows are made; a larger result repeats them.
	distinct = 100_000
	// batchRows are in one record batch: about 600 kB.
	batchRows = 10_000
)

// data is a result set in all the forms in which it is sent.
type data struct {
	schema          []byte // JSON
	micros, seconds list   // rows as JSON, by the form of their timestamps
	one             list   // the row of SELECT 1
	arrowSchema     []byte
	batches         [][]byte // ReadRowsResponse, marshalled
}

// list is the elements of a JSON array, without its brackets.
type list struct {
	text []byte
	ends []int // of each element, after its comma
}

func (l *list) add(element []byte) {
	l.text = append(append(l.text, element...), ',')
	l.ends = append(l.ends, len(l.text))
}

func (l *list) len() int { return len(l.ends) }

// slice returns the elements from the first to before the last, without a comma at
// the end.
func (l *list) slice(first, last int) []byte {
	start := 0
	if first > 0 {
		start = l.ends[first-1]
	}
	return l.text[start : l.ends[last-1]-1]
}

var oneSchema = []byte(`{"fields":[{"name":"f0_","type":"INTEGER","mode":"NULLABLE"}]}`)

var words = []string{"delivery", "excellent", "slow", "\"quoted\"", "Größe", "again", "service, fast", "price", "never", "recommended"}

func newData() *data {
	d := &data{schema: []byte(`{"fields":[{"name":"id","type":"INTEGER","mode":"NULLABLE"},{"name":"review","type":"STRING","mode":"NULLABLE"},` +
		`{"name":"score","type":"FLOAT","mode":"NULLABLE"},{"name":"amount","type":"NUMERIC","mode":"NULLABLE"},` +
		`{"name":"created","type":"TIMESTAMP","mode":"NULLABLE"},{"name":"positive","type":"BOOLEAN","mode":"NULLABLE"}]}`)}
	d.one.add([]byte(`{"f":[{"v":"1"}]}`))
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "review", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 38, Scale: 9}, Nullable: true},
		{Name: "created", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "positive", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	}, nil)
	ids, reviews, scores := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator), array.NewFloat64Builder(memory.DefaultAllocator)
	amounts := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 38, Scale: 9})
	times := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
	positives := array.NewBooleanBuilder(memory.DefaultAllocator)
	random := rand.New(rand.NewPCG(1, 2))
	origin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for id := range distinct {
		review := words[random.IntN(len(words))] + " " + words[random.IntN(len(words))] + " " + words[random.IntN(len(words))]
		score := random.Float64()
		cents := random.Int64N(100_000_000)
		micros := origin + random.Int64N(365*24*3600*1_000_000)
		positive := score > 0.5

		row := func(created string) []byte {
			return fmt.Appendf(nil, `{"f":[{"v":"%d"},{"v":%q},{"v":"%s"},{"v":"%s"},{"v":"%s"},{"v":"%t"}]}`,
				id, review, strconv.FormatFloat(score, 'g', -1, 64), amount(cents), created, positive)
		}
		d.micros.add(row(strconv.FormatInt(micros, 10)))
		d.seconds.add(row(fmt.Sprintf("%d.%06d", micros/1_000_000, micros%1_000_000)))

		ids.Append(int64(id))
		reviews.Append(review)
		scores.Append(score)
		amounts.Append(decimal128.FromI64(cents * 10_000_000))
		times.Append(arrow.Timestamp(micros))
		positives.Append(positive)
		if (id+1)%batchRows == 0 {
			d.batch(array.NewRecordBatch(schema, []arrow.Array{
				ids.NewArray(), reviews.NewArray(), scores.NewArray(), amounts.NewArray(), times.NewArray(), positives.NewArray(),
			}, batchRows))
		}
	}
	return d
}

// amount is cents as BigQuery writes a NUMERIC: without zeros at the end.
func amount(cents int64) string {
	switch {
	case cents%100 == 0:
		return strconv.FormatInt(cents/100, 10)
	case cents%10 == 0:
		return fmt.Sprintf("%d.%d", cents/100, cents%100/10)
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// batch adds a record batch, in the two messages of an Arrow stream.
func (d *data) batch(record arrow.RecordBatch) {
	defer record.Release()
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(record.Schema()))
	if err := w.Write(record); err != nil {
		panic(err) // a buffer in memory takes what it is given
	}
	message := stream.Bytes()
	if d.arrowSchema == nil {
		// The stream begins with the schema, in a message of a marker and a length of
		// four bytes each and that many bytes.
		length := 8 + int(uint32(message[4])|uint32(message[5])<<8|uint32(message[6])<<16|uint32(message[7])<<24)
		d.arrowSchema = bytes.Clone(message[:length])
	}
	response, err := proto.Marshal(&storagepb.ReadRowsResponse{
		RowCount: record.NumRows(),
		Rows: &storagepb.ReadRowsResponse_ArrowRecordBatch{ArrowRecordBatch: &storagepb.ArrowRecordBatch{
			SerializedRecordBatch: message[len(d.arrowSchema):],
		}},
	})
	if err != nil {
		panic(err)
	}
	d.batches = append(d.batches, response)
}
