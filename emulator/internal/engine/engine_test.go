// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/engine"
)

// Whatever connection of the pool a request gets, it sees the same database.
func TestParallelFirstUse(t *testing.T) {
	for round := range 5 {
		e, err := engine.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				project := fmt.Sprintf("proj-%d", i)
				in := bq.Dataset{DatasetReference: &bq.DatasetReference{ProjectId: project, DatasetId: "d"}}
				if err := e.Do(t.Context(), http.MethodPost, project, "/datasets", in, nil); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
				create := ast.Query{Project: project, SQL: fmt.Sprintf("CREATE TABLE d.t AS SELECT %d AS x", i)}
				if _, err := e.Query(t.Context(), create); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
				result, err := e.Query(t.Context(), ast.Query{Project: project, SQL: "SELECT x FROM d.t", ReadOnly: true})
				if err != nil || len(result.Rows) != 1 || result.Rows[0][0] != fmt.Sprint(i) {
					t.Errorf("round %d: %+v, %v, want one row %d", round, result, err, i)
				}
			})
		}
		wg.Wait()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
}
