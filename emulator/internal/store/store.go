// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package store holds what services share in keeping resources in memory:
// generated ids, etags and paging.
package store

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// NewID returns a random id of 19 decimal digits, the form of the ids that
// Vertex AI generates.
func NewID() string {
	// 10^18 ≤ id < 9·10^18 keeps it 19 digits long and within int64.
	n, err := rand.Int(rand.Reader, big.NewInt(8_000_000_000_000_000_000))
	if err != nil {
		panic(err) // crypto/rand never fails on the platforms Go supports
	}
	return n.Add(n, big.NewInt(1_000_000_000_000_000_000)).String()
}

// NewEtag returns an etag that no resource has had before.
func NewEtag() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// MaxPage is the largest page; it is also what a page size of 0 means.
const MaxPage = 100

// Page returns one page of items, which must be in a stable order, and the token
// of the next page, empty on the last one.
func Page[T any](items []T, size int32, token string) ([]T, string, error) {
	if size < 0 {
		return nil, "", fmt.Errorf("page_size %d is negative", size)
	}
	if size == 0 || size > MaxPage {
		size = MaxPage
	}
	start := 0
	if token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		text, ok := strings.CutPrefix(string(raw), "offset:")
		n, nerr := strconv.Atoi(text)
		if err != nil || !ok || nerr != nil || n < 0 {
			return nil, "", fmt.Errorf("page_token %q is not valid", token)
		}
		start = min(n, len(items))
	}
	end := min(start+int(size), len(items))
	next := ""
	if end < len(items) {
		next = base64.RawURLEncoding.EncodeToString([]byte("offset:" + strconv.Itoa(end)))
	}
	return items[start:end], next, nil
}
