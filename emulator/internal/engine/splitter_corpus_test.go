// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"
)

var updateCorpus = flag.Bool("update-corpus", false, "write what the GoogleSQL parser says of the splitter's corpus")

// corpusCase is one text of the corpus that the runner's splitter is tested with.
type corpusCase struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
	// Script says that the text makes sense as a whole only: control flow, or an
	// object that lives as long as the job.
	Script bool `json:"script,omitempty"`
	// Statements are what the parser cuts the text into, unless it is a script.
	Statements []string `json:"statements,omitempty"`
}

// wholeJob recognises, in a statement that was parsed, what makes its text one job
// although it is no control flow.
var wholeJob = regexp.MustCompile(`(?i)^CREATE\s+(OR\s+REPLACE\s+)?(TEMP|TEMPORARY|PROCEDURE)\b`)

// The runner cuts a text into statements with a lexer alone, and its tests hold it to
// this corpus. Here the corpus is held to the real parser: the two modules cannot
// import each other.
func TestSplitterCorpus(t *testing.T) {
	const file = "../../../internal/sqlscript/testdata/corpus.json"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var corpus []corpusCase
	if err := json.Unmarshal(content, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus) < 80 {
		t.Fatalf("the corpus has %d cases", len(corpus))
	}
	for i := range corpus {
		c := &corpus[i]
		script, err := Parse(c.SQL)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		whole := script.ControlFlow != ""
		var statements []string
		for _, s := range script.Statements {
			statements = append(statements, s.Text)
			whole = whole || s.Type == "CALL" || wholeJob.MatchString(s.Text)
		}
		if whole {
			statements = nil
		}
		if *updateCorpus {
			c.Script, c.Statements = whole, statements
			continue
		}
		if whole != c.Script || !slices.Equal(statements, c.Statements) {
			t.Errorf("%s: the parser says script %t, %q; the corpus %t, %q", c.Name, whole, statements, c.Script, c.Statements)
		}
	}
	if *updateCorpus {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(corpus); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
