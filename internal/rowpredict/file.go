// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

// File is a local file of rows, found to hold what a model takes. Its rows are read
// from the disk each time they are needed, and never all at once.
//
// A .csv file has a header. An empty field is NULL, or the empty text in a STRING
// column, as BigQuery reads CSV; an ARRAY is JSON text. A .jsonl or .ndjson file has
// one object a line; a field that is left out is NULL, except one that the model takes.
//
// Columns that the model does not take pass through. In CSV they are STRING; in JSON
// they have the type that fits all their values, and nested ones are STRING with the
// JSON text.
type File struct {
	Path    string
	Columns []bqml.Column
	Rows    int64
	// Sum is the SHA-256 of the content, in hexadecimal.
	Sum string

	input []bool // for each column, whether the model takes it
	raw   []bool // for each column, whether it is STRING with JSON text
	csv   bool
}

// passTypes are the types that columns which the model does not take can be given.
var passTypes = []string{"BOOL", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "STRING", "DATE", "TIMESTAMP"}

// OpenFile reads a whole file and checks every value. input is what the model takes,
// types are those of other columns, by name. An error is a [*InputError] that starts
// with file and line.
func OpenFile(path string, input []bqml.Column, types map[string]string) (*File, error) {
	f := &File{Path: path}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".csv":
		f.csv = true
	case ".jsonl", ".ndjson":
	default:
		return nil, inputErrorf("%s: %q is not a known kind of file: use .csv, .jsonl or .ndjson", path, ext)
	}
	var err error
	if f.Sum, err = f.digest(); err != nil {
		return nil, err
	}
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	for _, c := range input {
		if !containsFold(names, c.Name) {
			return nil, f.errorf(1, "there is no column %q, which the model takes (%s %s); there is %s", c.Name, c.Name, c.Type, strings.Join(names, ", "))
		}
	}
	for name := range types {
		if !containsFold(names, name) {
			return nil, f.errorf(1, "there is no column %q, for which a type is given; there is %s", name, strings.Join(names, ", "))
		}
	}
	for _, name := range names {
		if err := bqml.CheckColumnName(name); err != nil {
			return nil, f.errorf(1, "column %s", err)
		}
		if len(name) >= len(ownPrefix) && strings.EqualFold(name[:len(ownPrefix)], ownPrefix) {
			return nil, f.errorf(1, "column %q: names that start with %s are gcpml's own", name, ownPrefix)
		}
		c := bqml.Column{Name: name}
		if i := slices.IndexFunc(input, func(c bqml.Column) bool { return strings.EqualFold(c.Name, name) }); i >= 0 {
			c.Type = input[i].Type
			f.input = append(f.input, true)
		} else {
			f.input = append(f.input, false)
		}
		for given, sqlType := range types {
			if !strings.EqualFold(given, name) {
				continue
			}
			if c.Type != "" {
				return nil, inputErrorf("column %q has the type %s of the model's input; it cannot be given another one", name, c.Type)
			}
			if c.Type = strings.ToUpper(sqlType); !slices.Contains(passTypes, c.Type) {
				return nil, inputErrorf("column %q: %q is not a type for a column of a file: use one of %s", name, sqlType, strings.Join(passTypes, ", "))
			}
		}
		f.Columns = append(f.Columns, c)
	}
	f.raw = make([]bool, len(f.Columns))
	if err := f.infer(); err != nil {
		return nil, err
	}
	for _, err := range f.All() {
		if err != nil {
			return nil, err
		}
		f.Rows++
	}
	return f, nil
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func (f *File) errorf(line int, format string, args ...any) error {
	return inputErrorf("%s:%d: %s", f.Path, line, fmt.Sprintf(format, args...))
}

// open opens the file without a byte order mark.
func (f *File) open() (*os.File, *bufio.Reader, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err
		}
		return nil, nil, inputErrorf("cannot read %s: %s", f.Path, err)
	}
	in := bufio.NewReaderSize(file, 64<<10)
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	return file, in, nil
}

func (f *File) digest() (string, error) {
	file, in, err := f.open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, in); err != nil {
		return "", inputErrorf("cannot read %s: %s", f.Path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// names returns the names of the columns in their order.
func (f *File) names() ([]string, error) {
	var names []string
	if f.csv {
		file, in, err := f.open()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		header, err := csv.NewReader(in).Read()
		if errors.Is(err, io.EOF) {
			return nil, f.errorf(1, "the file is empty: a CSV file starts with the names of its columns")
		}
		if err != nil {
			return nil, f.csvError(err)
		}
		names = header
	} else {
		for object, err := range f.objects() {
			if err != nil {
				return nil, err
			}
			for _, m := range object.members {
				if !slices.Contains(names, m.name) {
					names = append(names, m.name)
				}
			}
		}
	}
	for i, name := range names {
		if containsFold(names[:i], name) {
			return nil, f.errorf(1, "column %q occurs twice (the case of letters does not count)", name)
		}
	}
	return names, nil
}

func (f *File) csvError(err error) error {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return f.errorf(parse.Line, "%s", parse.Err)
	}
	return inputErrorf("cannot read %s: %s", f.Path, err)
}

// FileRow is one row: for each column nil, a string, or a []any of strings.
type FileRow struct {
	Line  int // where it starts
	Cells []any
}

// All reads the rows. It stops after an error.
func (f *File) All() iter.Seq2[FileRow, error] {
	if f.csv {
		return f.records()
	}
	return func(yield func(FileRow, error) bool) {
		for object, err := range f.objects() {
			if err != nil {
				yield(FileRow{}, err)
				return
			}
			row, err := f.fromObject(object)
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (f *File) records() iter.Seq2[FileRow, error] {
	return func(yield func(FileRow, error) bool) {
		file, in, err := f.open()
		if err != nil {
			yield(FileRow{}, err)
			return
		}
		defer file.Close()
		reader := csv.NewReader(in)
		reader.ReuseRecord = true
		for header := true; ; header = false {
			record, err := reader.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if parse, ok := errors.AsType[*csv.ParseError](err); ok && errors.Is(err, csv.ErrFieldCount) {
				err = f.errorf(parse.StartLine, "there are %d fields, the header has %d", len(record), len(f.Columns))
			} else if err != nil {
				err = f.csvError(err)
			}
			if err != nil {
				yield(FileRow{}, err)
				return
			}
			if header {
				continue
			}
			line, _ := reader.FieldPos(0)
			row := FileRow{Line: line, Cells: make([]any, len(record))}
			for i, field := range record {
				at, _ := reader.FieldPos(i)
				if row.Cells[i], err = fromCSV(f.Columns[i].Type, field); err != nil {
					yield(FileRow{}, f.errorf(at, "column %q: %s", f.Columns[i].Name, err))
					return
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func fromCSV(sqlType, field string) (any, error) {
	switch {
	case sqlType == "STRING":
		return scalar(sqlType, field)
	case field == "":
		return nil, nil
	case isArray(sqlType):
		return fromJSON(sqlType, json.RawMessage(field))
	}
	return scalar(sqlType, field)
}

// object is a line of a JSON file, with its members in their order.
type object struct {
	line    int
	members []member
}

type member struct {
	name  string
	value json.RawMessage
}

func (f *File) objects() iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		file, in, err := f.open()
		if err != nil {
			yield(object{}, err)
			return
		}
		defer file.Close()
		for line := 1; ; line++ {
			content, err := in.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				yield(object{}, inputErrorf("cannot read %s: %s", f.Path, err))
				return
			}
			if len(bytes.TrimSpace(content)) > 0 {
				members, problem := parseObject(content)
				if problem != nil {
					yield(object{}, f.errorf(line, "%s", problem))
					return
				}
				if !yield(object{line, members}, nil) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

func parseObject(content []byte) ([]member, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("the line is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	open, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if open != json.Delim('{') {
		return nil, errors.New("not a JSON object: each line has to be one")
	}
	var members []member
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		m := member{}
		m.name, _ = key.(string) // of an object it is nothing else
		if err := decoder.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		for _, other := range members {
			if strings.EqualFold(other.name, m.name) {
				return nil, fmt.Errorf("column %q occurs twice in one object (the case of letters does not count)", m.name)
			}
		}
		members = append(members, m)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the object")
	}
	return members, nil
}

// infer finds the types of columns that have none.
func (f *File) infer() error {
	if f.csv {
		for i := range f.Columns {
			if f.Columns[i].Type == "" {
				f.Columns[i].Type = "STRING"
			}
		}
		return nil
	}
	kinds := make([]map[string]bool, len(f.Columns))
	for object, err := range f.objects() {
		if err != nil {
			return err
		}
		for _, m := range object.members {
			i := f.column(m.name)
			if kinds[i] == nil {
				kinds[i] = map[string]bool{}
			}
			if kind := kindOf(m.value); kind != "" {
				kinds[i][kind] = true
			}
		}
	}
	for i, seen := range kinds {
		c := &f.Columns[i]
		if c.Type != "" {
			continue
		}
		only := func(allowed ...string) bool {
			for kind := range seen {
				if !slices.Contains(allowed, kind) {
					return false
				}
			}
			return true
		}
		switch {
		case only("STRING"):
			c.Type = "STRING"
		case only("BOOL"):
			c.Type = "BOOL"
		case only("INT64"):
			c.Type = "INT64"
		case only("INT64", "FLOAT64"):
			c.Type = "FLOAT64"
		default:
			c.Type, f.raw[i] = "STRING", true
		}
	}
	return nil
}

func kindOf(value json.RawMessage) string {
	switch value[0] {
	case 'n':
		return "" // NULL fits any type
	case '"':
		return "STRING"
	case 't', 'f':
		return "BOOL"
	case '{', '[':
		return "nested"
	}
	if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return "INT64"
	}
	if _, err := strconv.ParseFloat(string(value), 64); err == nil {
		return "FLOAT64"
	}
	return "beyond"
}

func (f *File) column(name string) int {
	return slices.IndexFunc(f.Columns, func(c bqml.Column) bool { return strings.EqualFold(c.Name, name) })
}

func (f *File) fromObject(o object) (FileRow, error) {
	row := FileRow{Line: o.line, Cells: make([]any, len(f.Columns))}
	set := make([]bool, len(f.Columns))
	for _, m := range o.members {
		i := f.column(m.name)
		if i < 0 {
			return row, f.errorf(o.line, "column %q appeared while the file was read: it has changed", m.name)
		}
		set[i] = true
		var err error
		if f.raw[i] && kindOf(m.value) != "" {
			row.Cells[i] = string(m.value)
		} else if row.Cells[i], err = fromJSON(f.Columns[i].Type, m.value); err != nil {
			return row, f.errorf(o.line, "column %q: %s", f.Columns[i].Name, err)
		}
	}
	for i, c := range f.Columns {
		if f.input[i] && !set[i] {
			return row, f.errorf(o.line, "there is no column %q, which the model takes (%s %s)", c.Name, c.Name, c.Type)
		}
	}
	return row, nil
}

func fromJSON(sqlType string, value json.RawMessage) (any, error) {
	value = bytes.TrimSpace(value)
	if string(value) == "null" {
		return nil, nil
	}
	if isArray(sqlType) {
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) != nil {
			return nil, fmt.Errorf("%s is not a JSON array for %s", brief(string(value)), sqlType)
		}
		element := strings.TrimSuffix(strings.TrimPrefix(sqlType, "ARRAY<"), ">")
		out := make([]any, len(elements))
		for i, e := range elements {
			v, err := fromJSON(element, e)
			if err == nil && v == nil {
				err = errors.New("an array cannot hold NULL")
			}
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i+1, err)
			}
			out[i] = v
		}
		return out, nil
	}
	var decoded any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		return nil, fmt.Errorf("%s is not JSON", brief(string(value)))
	}
	switch v := decoded.(type) {
	case string:
		if sqlType != "BOOL" {
			return scalar(sqlType, v)
		}
	case json.Number:
		switch sqlType {
		case "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC":
			return scalar(sqlType, v.String())
		}
	case bool:
		if sqlType == "BOOL" {
			return strconv.FormatBool(v), nil
		}
	}
	return nil, fmt.Errorf("%s is not of type %s", brief(string(value)), sqlType)
}

// decimals are the digits of NUMERIC and BIGNUMERIC before and after the point.
var decimals = map[string]struct{ whole, scale int }{"NUMERIC": {29, 9}, "BIGNUMERIC": {38, 38}}

var decimalText = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$`)

// scalar checks the text of a value and returns it as CAST takes it.
func scalar(sqlType, text string) (any, error) {
	refused := fmt.Errorf("%s is not of type %s", brief(strconv.Quote(text)), sqlType)
	if sqlType == "STRING" {
		if !utf8.ValidString(text) {
			return nil, errors.New("the text is not UTF-8")
		}
		return text, nil
	}
	text = strings.TrimSpace(text)
	switch sqlType {
	case "INT64":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refused
		}
		return strconv.FormatInt(n, 10), nil
	case "FLOAT64":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, refused
		}
		return strings.TrimPrefix(strconv.FormatFloat(n, 'g', -1, 64), "+"), nil
	case "BOOL":
		if lower := strings.ToLower(text); lower == "true" || lower == "false" {
			return lower, nil
		}
		return nil, refused
	case "NUMERIC", "BIGNUMERIC":
		limit := decimals[sqlType]
		n, ok := new(big.Rat).SetString(text)
		if !ok || !decimalText.MatchString(text) {
			return nil, refused
		}
		scaled := new(big.Rat).Mul(n, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(limit.scale)), nil)))
		if !scaled.IsInt() {
			return nil, fmt.Errorf("%s has more than the %d digits after the point of %s", brief(text), limit.scale, sqlType)
		}
		if len(new(big.Int).Abs(scaled.Num()).String()) > limit.whole+limit.scale {
			return nil, fmt.Errorf("%s is beyond the range of %s", brief(text), sqlType)
		}
		return text, nil
	case "DATE":
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, refused
		}
		return text, nil
	case "TIMESTAMP":
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, refused
		}
		return t.UTC().Format("2006-01-02 15:04:05.999999") + "+00", nil
	}
	return nil, fmt.Errorf("the type %s is not supported in a file", sqlType)
}

// brief shows the beginning of a value.
func brief(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// bytes is about the size of a row's instance in a request.
func (f *File) bytes(r FileRow) int64 {
	n := int64(2)
	for i, cell := range r.Cells {
		if f.input[i] {
			encoded, err := json.Marshal(cell)
			if err != nil { // strings and slices of them always marshal
				panic(err)
			}
			n += int64(len(f.Columns[i].Name) + 4 + len(encoded))
		}
	}
	return n
}

// batch is some rows as one parameter.
type batch struct {
	json  []byte // an array of arrays, one for each row
	rows  int64
	first int64 // the number of the first row, from 1
}

// The size of one parameter: BigQuery takes requests of 10 MB.
const (
	maxBatchBytes = 4 << 20
	maxBatchFile  = 10_000 // rows
)

// batches cuts the rows into parameters. Each row has its number, from 1, as one more
// cell at its end. If l is not nil, the rows of a batch also fit into the endpoint's
// requests, and a row that fits in none is an error.
func (f *File) batches(l *limits) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		b := batch{first: 1}
		var instances int64
		large := false
		flush := func() bool {
			b.json = append(b.json, ']')
			ok := yield(b, nil)
			b, instances, large = batch{first: b.first + b.rows}, 0, false
			return ok
		}
		for row, err := range f.All() {
			if err != nil {
				yield(batch{}, err)
				return
			}
			size := f.bytes(row)
			encoded, err := json.Marshal(append(row.Cells, strconv.FormatInt(b.first+b.rows, 10)))
			if err != nil { // strings and slices of them always marshal
				panic(err)
			}
			full := len(b.json)+len(encoded) > maxBatchBytes || b.rows == maxBatchFile
			if l != nil {
				if size > requestFor {
					yield(batch{}, f.errorf(row.Line, "the row is too large for a request to the endpoint: it takes %d bytes, and %d are left for rows", size, requestFor))
					return
				}
				full = full || (large || size > l.ordinary) && instances+size > requestFor
			}
			if full && b.rows > 0 && !flush() {
				return
			}
			b.json = append(append(b.json, "[,"[min(b.rows, 1)]), encoded...)
			b.rows++
			instances += size
			large = large || l != nil && size > l.ordinary
		}
		if b.rows == 0 && b.first > 1 {
			return
		}
		if b.rows == 0 {
			b.json = []byte{'['}
		}
		flush()
	}
}

// selectRows writes the query that turns the parameter @rows into rows, with the
// number of each in lineColumn.
func (f *File) selectRows(s *sqlText) {
	s.fixed("SELECT ")
	for i, c := range f.Columns {
		cell := fmt.Sprintf("'$[%d]'", i)
		switch {
		case c.Type == "STRING":
			s.fixed("JSON_VALUE(r, " + cell + ")")
		case c.Type == "ARRAY<STRING>":
			s.fixed("JSON_VALUE_ARRAY(r, " + cell + ")")
		case isArray(c.Type):
			element := strings.TrimSuffix(strings.TrimPrefix(c.Type, "ARRAY<"), ">")
			s.fixed("ARRAY(SELECT CAST(x AS " + element + ") FROM UNNEST(JSON_VALUE_ARRAY(r, " + cell + ")) AS x WITH OFFSET AS o ORDER BY o)")
		default:
			s.fixed("CAST(JSON_VALUE(r, " + cell + ") AS " + c.Type + ")")
		}
		s.fixed(" AS ").name(c.Name).fixed(", ")
	}
	s.fixed(fmt.Sprintf("CAST(JSON_VALUE(r, '$[%d]') AS INT64) AS %s FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r", len(f.Columns), lineColumn))
}
