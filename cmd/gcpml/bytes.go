// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
)

// byteSize is an option that holds a number of bytes: "5000000", "500MB", "1.5GiB".
type byteSize int64

var byteSizeText = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,6})?) *([kKMGTP]?)(i?)[bB]?$`)

func (b *byteSize) Set(text string) error {
	m := byteSizeText.FindStringSubmatch(text)
	if m == nil || m[3] != "" && m[2] == "" {
		return fmt.Errorf("%q is not a number of bytes, such as 5000000, 500MB or 1.5GiB", text)
	}
	base := int64(1000)
	if m[3] != "" {
		base = 1024
	}
	n, _ := new(big.Rat).SetString(m[1])
	for range 1 + strings.Index("KMGTP", strings.ToUpper(m[2])) {
		if m[2] != "" {
			n.Mul(n, big.NewRat(base, 1))
		}
	}
	if !n.IsInt() || n.Cmp(big.NewRat(math.MaxInt64, 1)) > 0 {
		return fmt.Errorf("%q is not a whole number of bytes that fits 64 bits", text)
	}
	*b = byteSize(n.Num().Int64())
	return nil
}

func (b *byteSize) String() string { return fmt.Sprint(int64(*b)) }
func (b *byteSize) Type() string   { return "bytes" }

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len("KMGTP")-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}
