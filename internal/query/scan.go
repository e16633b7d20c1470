// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	bigquery "google.golang.org/api/bigquery/v2"
)

// errJSON is replaced by the error of encoding/json, which tells where.
var errJSON = errors.New("not JSON")

// parsePage reads all of a page but its rows, whose place it notes.
func parsePage(body []byte) (*page, error) {
	p := &page{body: body}
	in := scanner{data: body}
	err := in.object(func(key []byte) error {
		start := in.next()
		switch string(key) {
		case "rows":
			if err := in.skip(); err != nil {
				return err
			}
			if p.rows = body[start:in.pos]; string(p.rows) == "null" {
				p.rows = nil
			}
			return nil
		case "pageToken", "totalRows":
			if in.peek() != '"' {
				return in.skip() // null
			}
			text, err := in.text()
			if err != nil {
				return err
			}
			if key[0] == 'p' {
				p.token = string(text)
			} else {
				p.total, err = strconv.ParseUint(string(text), 10, 64)
			}
			return err
		}
		if err := in.skip(); err != nil {
			return err
		}
		switch value := body[start:in.pos]; string(key) {
		case "jobComplete":
			p.complete = string(value) == "true"
		case "schema":
			return json.Unmarshal(value, &p.schema)
		}
		return nil
	})
	if err == nil && in.next() != len(body) {
		err = errJSON
	}
	if errors.Is(err, errJSON) {
		if syntax := json.Unmarshal(body, new(bigquery.GetQueryResultsResponse)); syntax != nil {
			err = syntax
		}
	}
	return p, err
}

// scanner walks over JSON text without building anything. It knows as much of the
// grammar as it needs to find values and never reads beyond the end.
type scanner struct {
	data    []byte
	pos     int
	scratch []byte // of the last text with escapes
}

// next skips white space and returns where the next token starts.
func (s *scanner) next() int {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return s.pos
		}
	}
	return s.pos
}

// peek returns the first byte of the next token, 0 at the end.
func (s *scanner) peek() byte {
	if s.next() == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// accept moves over the next token if it is c.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// object calls member for every member of an object; member moves over the value.
func (s *scanner) object(member func(key []byte) error) error {
	if !s.accept('{') {
		return errJSON
	}
	if s.accept('}') {
		return nil
	}
	for {
		key, err := s.text()
		if err != nil {
			return err
		}
		if !s.accept(':') {
			return errJSON
		}
		if err := member(key); err != nil {
			return err
		}
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return errJSON
		}
	}
}

// member moves into an object and to the value of key. [scanner.leave] moves out.
// BigQuery's cells and rows are objects of one member, so that is all it takes.
func (s *scanner) member(key string) bool {
	if !s.accept('{') {
		return false
	}
	name, err := s.text()
	return err == nil && string(name) == key && s.accept(':')
}

func (s *scanner) leave() bool { return s.accept('}') }

// null moves over null if that is the next value.
func (s *scanner) null() bool {
	if s.peek() != 'n' || !bytes.HasPrefix(s.data[s.pos:], []byte("null")) {
		return false
	}
	s.pos += len("null")
	return true
}

// skip moves over one value.
func (s *scanner) skip() error {
	depth := 0
	for {
		switch s.peek() {
		case 0:
			return errJSON
		case '"':
			if _, _, err := s.quoted(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			s.pos++
			continue
		case '}', ']':
			depth--
			s.pos++
		case ',', ':':
			if depth == 0 {
				return errJSON
			}
			s.pos++
			continue
		default: // a number, true, false, null
			for s.pos < len(s.data) && !bytes.ContainsRune([]byte(" \n\r\t,:\"{}[]"), rune(s.data[s.pos])) {
				s.pos++
			}
		}
		if depth <= 0 {
			if depth < 0 {
				return errJSON
			}
			return nil
		}
	}
}

// quoted moves over a string and returns what is between its quotes.
func (s *scanner) quoted() (raw []byte, escaped bool, err error) {
	if !s.accept('"') {
		return nil, false, errJSON
	}
	start := s.pos
	for {
		end := bytes.IndexByte(s.data[s.pos:], '"')
		if end < 0 {
			return nil, false, errJSON
		}
		part := s.data[s.pos : s.pos+end]
		s.pos += end + 1
		slash := bytes.IndexByte(part, '\\')
		if slash < 0 {
			return s.data[start : s.pos-1], escaped, nil
		}
		escaped = true
		// Only an odd number of backslashes at its end escapes the quote.
		n := 0
		for n < len(part) && part[len(part)-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return s.data[start : s.pos-1], true, nil
		}
	}
}

// text moves over a string and returns it, valid until the next call.
func (s *scanner) text() ([]byte, error) {
	raw, escaped, err := s.quoted()
	if err != nil || !escaped {
		return raw, err
	}
	out := s.scratch[:0]
	for {
		slash := bytes.IndexByte(raw, '\\')
		if slash < 0 {
			out = append(out, raw...)
			s.scratch = out
			return out, nil
		}
		out = append(out, raw[:slash]...)
		raw = raw[slash+1:] // not empty: a last backslash would have escaped the quote
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, rest := hex4(raw)
			if r < 0 {
				return nil, errJSON
			}
			raw = rest
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(raw) > 2 && raw[0] == '\\' && raw[1] == 'u' {
					low, rest = hex4(raw[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					raw = rest
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, errJSON
		}
	}
}

// hex4 reads the four digits of a \u escape; -1 if they are not.
func hex4(raw []byte) (rune, []byte) {
	if len(raw) < 4 {
		return -1, raw
	}
	var r rune
	for _, c := range raw[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1, raw
		}
		r = r<<4 | rune(c)
	}
	return r, raw[4:]
}
