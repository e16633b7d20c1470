// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestPredict(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.want("SELECT id, text, scores, remote_model_status FROM ML.PREDICT(MODEL `my-project.d.m`, (SELECT id, review AS text FROM d.reviews)) ORDER BY id", [][]string{
		{"1", "good", "[4.1]", "NULL"}, {"2", "awful", "[5.1]", "NULL"}, {"3", "NULL", "[0.1]", "NULL"},
	})
	if n := len(b.w.calls[0][0].GetStructValue().GetFields()); n != 1 {
		t.Errorf("an instance has %d fields: only INPUT columns leave the engine", n)
	}
}

func TestPredictPlaces(t *testing.T) {
	b := start(t)
	b.tutorial()
	const predict = "ML.PREDICT(MODEL d.m, (SELECT id, review AS text FROM d.reviews WHERE review IS NOT NULL))"
	b.do("CREATE VIEW d.texts AS SELECT id, review AS text FROM d.reviews WHERE id < 3")
	for sql, want := range map[string][][]string{
		"SELECT COUNT(*) FROM " + predict: {{"2"}},
		"SELECT p.id, q.id AS other FROM " + predict + " AS p JOIN " + predict + " q ON p.id = q.id ORDER BY 1":                                                                    {{"1", "1"}, {"2", "2"}},
		"WITH a AS (SELECT 'xy' AS text), b AS (SELECT scores FROM ML.PREDICT(MODEL d.m, TABLE a)) SELECT scores[OFFSET(0)] + 1 FROM b":                                            {{"3.1"}},
		"SELECT * FROM (WITH a AS (SELECT 'xyz' AS text) SELECT scores FROM ML.PREDICT(MODEL d.m, (SELECT * FROM a)))":                                                             {{"[3.1]"}},
		"WITH a AS (SELECT 'a' AS text) SELECT s FROM (WITH a AS (SELECT CONCAT(text, 'b') AS text FROM a) SELECT scores AS s FROM ML.PREDICT(MODEL d.m, TABLE a))":                {{"[2.1]"}},
		"SELECT text, scores FROM ML.PREDICT(MODEL d.m, (SELECT CAST(s AS STRING) AS text FROM (SELECT scores[OFFSET(0)] AS s FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text)))))": {{"1.1", "[3.1]"}},
		"SELECT id FROM d.reviews WHERE review IN (SELECT text FROM " + predict + " WHERE scores[OFFSET(0)] > 5)":                                                                  {{"2"}},
		"SELECT id FROM ML.PREDICT(MODEL d.m, TABLE d.texts) ORDER BY id DESC":                                                                                                     {{"2"}, {"1"}},
		"SELECT scores FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text LIMIT 0))":                                                                                                   nil,
	} {
		b.want(sql, want)
	}

	b.do("CREATE TABLE d.out AS SELECT id, scores FROM %s", predict)
	b.do("INSERT INTO d.out (id, scores) SELECT id + 10, scores FROM %s", predict)
	b.do("MERGE d.out o USING (SELECT * FROM %s) s ON o.id = s.id WHEN MATCHED THEN UPDATE SET id = o.id + 100 WHEN NOT MATCHED THEN INSERT (id, scores) VALUES (0, s.scores)", predict)
	b.want("SELECT id, scores FROM d.out ORDER BY id", [][]string{{"11", "[4.1]"}, {"12", "[5.1]"}, {"101", "[4.1]"}, {"102", "[5.1]"}})
}

func TestPredictParameters(t *testing.T) {
	b := start(t)
	b.tutorial()
	value := func(name, typ, v string) *bq.QueryParameter {
		return &bq.QueryParameter{Name: name, ParameterType: &bq.QueryParameterType{Type: typ}, ParameterValue: &bq.QueryParameterValue{Value: v}}
	}
	b.want("SELECT text, scores, @b FROM ML.PREDICT(MODEL d.m, (SELECT @a AS text)) WHERE @n = 1",
		[][]string{{"xx", "[2.1]", "yy"}}, value("n", "INT64", "1"), value("a", "STRING", "xx"), value("b", "STRING", "yy"))
	b.want("SELECT ?, text, scores, ? FROM ML.PREDICT(MODEL d.m, (SELECT CONCAT(?, ?) AS text)) WHERE ? = 5",
		[][]string{{"1", "34", "[2.1]", "2"}}, value("", "STRING", "1"), value("", "STRING", "2"), value("", "STRING", "3"), value("", "STRING", "4"), value("", "INT64", "5"))
	empty := value("s", "STRING", "")
	empty.ParameterValue.ForceSendFields = []string{"Value"}
	b.want("SELECT text IS NULL, scores FROM ML.PREDICT(MODEL d.m, (SELECT @s AS text))", [][]string{{"false", "[0.1]"}}, empty)
	null := &bq.QueryParameter{Name: "s", ParameterType: &bq.QueryParameterType{Type: "STRING"}, ParameterValue: &bq.QueryParameterValue{NullFields: []string{"Value"}}}
	b.want("SELECT text IS NULL FROM ML.PREDICT(MODEL d.m, (SELECT @s AS text))", [][]string{{"true"}}, null)
	b.fails("SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT @nope AS text))", "invalidQuery", `Query parameter "nope" is not defined`)
}

func TestPredictBatches(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.want("SELECT COUNT(*), COUNTIF(scores[OFFSET(0)] = LENGTH(text) + 0.1), COUNT(DISTINCT n), COUNT(remote_model_status) FROM ML.PREDICT(MODEL d.m, (SELECT n, CAST(n AS STRING) AS text FROM UNNEST(GENERATE_ARRAY(1, 300)) AS n))",
		[][]string{{"300", "300", "300", "0"}})
	if len(b.w.calls) != 3 {
		t.Errorf("%d calls for 300 rows, want 3", len(b.w.calls))
	}
	for _, c := range b.w.calls {
		if len(c) > 128 {
			t.Errorf("a batch of %d rows", len(c))
		}
	}
}

func TestPredictTypes(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.w.predictor = func(in []*structpb.Value) ([]*structpb.Value, error) { return in, nil }
	b.do("%s", createModel("d.echo", "INPUT (b BOOL, i INT64, f FLOAT64, n NUMERIC, g BIGNUMERIC, s STRING, ba ARRAY<BOOL>, ia ARRAY<INT64>, fa ARRAY<FLOAT64>, na ARRAY<NUMERIC>, ga ARRAY<BIGNUMERIC>, sa ARRAY<STRING>) "+
		"OUTPUT (b1 BOOL, i1 INT64, f1 FLOAT64, n1 NUMERIC, g1 BIGNUMERIC, s1 STRING, ba1 ARRAY<BOOL>, ia1 ARRAY<INT64>, fa1 ARRAY<FLOAT64>, na1 ARRAY<NUMERIC>, ga1 ARRAY<BIGNUMERIC>, sa1 ARRAY<STRING>)"))
	b.w.predictor = func(in []*structpb.Value) ([]*structpb.Value, error) {
		out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for k, v := range in[0].GetStructValue().GetFields() {
			out.Fields[k+"1"] = v
		}
		return []*structpb.Value{structpb.NewStructValue(out)}, nil
	}
	text := `a'"\` + "\n\té\x01`"
	sql := "SELECT b1, i1, f1, n1, g1, s1, ba1, ia1, fa1, na1, ga1, sa1, remote_model_status FROM ML.PREDICT(MODEL d.echo, (SELECT true AS b, -7 AS i, 0.1 + 0.2 AS f, NUMERIC '1.25' AS n, BIGNUMERIC '2.5' AS g, @s AS s, " +
		"[true, false] AS ba, [1, 2] AS ia, [0.5, 1e300] AS fa, [NUMERIC '1.5'] AS na, [BIGNUMERIC '3.5'] AS ga, [@s, ''] AS sa))"
	b.want(sql, [][]string{{"true", "-7", "0.30000000000000004", "1.25", "2.5", text, "[true false]", "[1 2]", "[0.5 1e+300]", "[1.5]", "[3.5]", "[" + text + " ]", "NULL"}},
		&bq.QueryParameter{Name: "s", ParameterType: &bq.QueryParameterType{Type: "STRING"}, ParameterValue: &bq.QueryParameterValue{Value: text}})
	sent := b.w.calls[0][0].GetStructValue().GetFields()
	if sent["i"].GetNumberValue() != -7 || sent["n"].GetNumberValue() != 1.25 || !sent["b"].GetBoolValue() || len(sent["ia"].GetListValue().GetValues()) != 2 {
		t.Errorf("sent %v", sent)
	}
}

// Columns that the model does not need come through unchanged, whatever their type.
func TestPredictPassesColumnsThrough(t *testing.T) {
	b := start(t)
	b.tutorial()
	const input = "SELECT n, 'abc' AS text, [1, 2] AS a, STRUCT(n AS x, ['y'] AS y) AS s, [STRUCT('z' AS z)] AS l, TIMESTAMP '2024-01-02 03:04:05.678+00' AS ts, " +
		"DATE '2024-01-02' AS d, DATETIME '2024-01-02 03:04:05' AS dt, TIME '03:04:05' AS tm, b'xy' AS y, NUMERIC '1.5' AS m, " +
		"CAST(NULL AS INT64) AS nn, CAST(NULL AS ARRAY<STRING>) AS na, CAST(NULL AS STRUCT<q INT64>) AS ns FROM UNNEST([1, 2, 3]) AS n"
	const columns = "n, text, a, s.x, s.y AS sy, (SELECT z FROM UNNEST(l)), ts, d, dt, tm, y, m, nn, ARRAY_LENGTH(na), ns.q"
	want := b.rows("SELECT " + columns + " FROM (" + input + ") ORDER BY n")
	b.want("SELECT "+columns+" FROM ML.PREDICT(MODEL d.m, ("+input+")) ORDER BY n", want)
	if len(want) != 3 || want[0][3] != "1" {
		t.Errorf("the input itself: %v", want)
	}
}

func TestPredictRowErrors(t *testing.T) {
	b := start(t)
	b.tutorial()
	const sql = "SELECT scores, remote_model_status FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))"
	list := func(v ...*structpb.Value) *structpb.Value {
		return structpb.NewListValue(&structpb.ListValue{Values: v})
	}
	object := func(name string, v *structpb.Value) *structpb.Value {
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{name: v}})
	}
	number := structpb.NewNumberValue(0.5)
	for name, c := range map[string]struct {
		answer []*structpb.Value
		err    error
		want   string // in the status; empty: success
	}{
		"bare":        {answer: []*structpb.Value{list(number)}},
		"object":      {answer: []*structpb.Value{object("scores", list(number))}},
		"other field": {answer: []*structpb.Value{object("x", number)}, want: `no field scores: {"x":0.5}`},
		"scalar":      {answer: []*structpb.Value{number}, want: "not of type ARRAY<FLOAT64>: 0.5"},
		"text inside": {answer: []*structpb.Value{list(structpb.NewStringValue("x"))}, want: "not of type ARRAY<FLOAT64>"},
		"null inside": {answer: []*structpb.Value{list(structpb.NewNullValue())}, want: "not of type ARRAY<FLOAT64>"},
		"too many":    {answer: []*structpb.Value{list(number), list(number)}, want: "2 predictions for 1 instances"},
		"none":        {want: "0 predictions for 1 instances"},
		"permanent":   {err: status.Error(codes.FailedPrecondition, "nothing is deployed"), want: "FAILED PRECONDITION error from " + modelURL + ": nothing is deployed"},
		"passing":     {err: status.Error(codes.ResourceExhausted, "slow down"), want: "A retryable error occurred: RESOURCE EXHAUSTED error from " + modelURL},
	} {
		b.w.predictor = func([]*structpb.Value) ([]*structpb.Value, error) { return c.answer, c.err }
		got := b.rows(sql)
		if len(got) != 1 || (c.want == "") != (got[0][1] == "NULL") || !strings.Contains(got[0][1], c.want) {
			t.Errorf("%s: %v, want a status with %q", name, got, c.want)
		}
		if c.want == "" && got[0][0] != "[0.5]" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPredictPassingErrorIsRetried(t *testing.T) {
	b := start(t)
	b.tutorial()
	failures := 2
	b.w.predictor = func(in []*structpb.Value) ([]*structpb.Value, error) {
		if failures > 0 {
			failures--
			return nil, status.Error(codes.Unavailable, "not now")
		}
		return lengths(in)
	}
	b.want("SELECT scores, remote_model_status FROM ML.PREDICT(MODEL d.m, (SELECT 'abc' AS text))", [][]string{{"[3.1]", "NULL"}})
}

// What can be known to fail does so before anything is sent to the endpoint.
func TestPredictIsCheckedFirst(t *testing.T) {
	b := start(t)
	b.tutorial()
	for _, c := range []struct{ sql, reason, message string }{
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT review FROM d.reviews))", "invalidQuery", "no column text, which the model my-project:d.m needs: its INPUT is (text STRING), the query has review."},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 1 AS text))", "invalidQuery", "column text of the input of ML.PREDICT is of type INT64; the model my-project:d.m needs STRING"},
		{"SELECT nope FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "invalidQuery", "Unrecognized name: nope"},
		{"SELECT scores + 1 FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "invalidQuery", "No matching signature for operator +"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text, 'b' AS text))", "invalidQuery", "more than one column text"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text, 1))", "invalidQuery", "a column without a name"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text, 1 AS scores))", "invalidQuery", "also an OUTPUT column"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))))", "invalidQuery", "a column remote_model_status"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text), STRUCT(1 AS x))", "invalidQuery", "takes no settings"},
		{"SELECT * FROM ML.PREDICT(MODEL d.none, (SELECT 'a' AS text))", "notFound", "Not found: Model my-project:d.none"},
		{"SELECT * FROM ML.PREDICT(MODEL other.m, (SELECT 'a' AS text))", "notFound", "Not found: Dataset my-project:other was not found in location US"},
		{"SELECT * FROM ML.PREDICT(MODEL d.m, TABLE d.none)", "notFound", "Not found: Table my-project:d.none was not found in location US"},
		{"INSERT INTO d.none (x) SELECT scores FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "notFound", "Not found: Table my-project:d.none"},
		{"CREATE VIEW d.v AS SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "notImplemented", "ML.PREDICT in a CREATE_VIEW statement"},
		{"CREATE TABLE nods.t AS SELECT scores FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "notFound", "Not found: Dataset my-project:nods"},
		{"SELECT (SELECT COUNT(*) FROM ML.PREDICT(MODEL d.m, (SELECT r.review AS text))) FROM d.reviews r", "notImplemented", "uses columns of the query around it"},
		{"WITH RECURSIVE a AS (SELECT 'a' AS text) SELECT * FROM ML.PREDICT(MODEL d.m, TABLE a)", "notImplemented", "WITH RECURSIVE"},
		{"DECLARE x INT64; SELECT nope FROM ML.PREDICT(MODEL d.m, (SELECT CAST(x AS STRING) AS text))", "invalidQuery", "Unrecognized name: nope at [1:25]"},
		{"SELECT * FROM ML.EVALUATE(MODEL d.m)", "notImplemented", "ML.EVALUATE"},
		{"SELECT ML.PREDICT('a', 'b')", "notImplemented", "ML.PREDICT"},
	} {
		b.fails(c.sql, c.reason, c.message)
	}
	b.w.granted = false
	b.fails("SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))", "invalidQuery", account+" does not have the permission to access or use the endpoint. Please grant the Vertex AI user role")
	if n := b.w.callCount(); n != 0 {
		t.Errorf("%d calls to the endpoint, want none", n)
	}
}

func TestPredictDryRun(t *testing.T) {
	b := start(t)
	b.tutorial()
	const sql = "SELECT scores, id FROM ML.PREDICT(MODEL d.m, (SELECT id, review AS text FROM d.reviews))"
	answer, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: sql, UseLegacySql: new(false), DryRun: true}).Do()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range answer.Schema.Fields {
		got = append(got, f.Name+" "+f.Type+" "+f.Mode)
	}
	if fmt.Sprint(got) != "[scores FLOAT REPEATED id INTEGER NULLABLE]" || len(answer.Rows) != 0 || answer.JobReference.JobId != "" {
		t.Errorf("dry run: %v, %d rows, job %q", got, len(answer.Rows), answer.JobReference.JobId)
	}
	for _, sql := range []string{"CREATE TABLE d.out AS " + sql, "INSERT INTO d.reviews (id) SELECT id FROM (" + sql + ")", "DROP TABLE d.reviews", "DROP MODEL d.m", "CREATE SCHEMA d2", "DROP SCHEMA d CASCADE"} {
		if _, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: &bq.JobConfiguration{DryRun: true, Query: &bq.JobConfigurationQuery{Query: sql, UseLegacySql: new(false)}}}).Do(); err != nil {
			t.Errorf("dry run of %s: %v", sql, err)
		}
	}
	b.want("SELECT COUNT(*) FROM d.reviews", [][]string{{"3"}})
	b.do("CREATE TABLE d.out AS SELECT 1 AS x")
	b.do("DROP MODEL d.m")
	if n := b.w.callCount(); n != 0 {
		t.Errorf("%d calls to the endpoint, want none", n)
	}
}
