// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import "testing"

func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "5000000": 5000000, "10GB": 10_000_000_000, "10G": 10_000_000_000, "1GiB": 1 << 30, "1.5TiB": 3 << 39, "100 MB": 100_000_000, "7B": 7,
	} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%s: got %d, %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "-1", "x", "1.5", "1iB", "9999999PB", "1e3", "GB"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q is %d bytes", text, b)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 20: "10.0 MiB", 3 << 39: "1.5 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
