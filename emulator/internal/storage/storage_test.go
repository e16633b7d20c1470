// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInventoryIsSortedByName(t *testing.T) {
	s, err := New(Config{Addr: "127.0.0.1:1", Objects: []Object{
		{Bucket: "zoo", Name: "a"}, {Bucket: "ant", Name: "b/c"}, {Bucket: "zoo", Name: "d"}, {Bucket: "mid", Name: "e"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const want = "[map[name:ant objects:1] map[name:mid objects:1] map[name:zoo objects:2]]"
	for range 20 {
		if got := fmt.Sprint(s.Inventory()); got != want {
			t.Fatalf("inventory %s, want %s", got, want)
		}
	}
}

func TestDirBecomesBuckets(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "models", "bert"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "models", "bert", "saved_model.pb"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Addr: "127.0.0.1:1", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := fmt.Sprint(s.Inventory()); got != "[map[name:models objects:1]]" {
		t.Errorf("inventory %s", got)
	}
	if _, err := New(Config{Dir: filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "--storage-dir") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := New(Config{Dir: dir, Objects: []Object{{Bucket: "b", Name: "o"}}}); err == nil {
		t.Error("Dir and Objects together were accepted")
	}
}
