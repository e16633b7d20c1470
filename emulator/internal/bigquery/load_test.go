// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"
)

// load uploads a file and answers the finished job.
func (b *bigQuery) load(content string, config *bq.JobConfigurationLoad, options ...googleapi.MediaOption) *bq.Job {
	b.t.Helper()
	config.DestinationTable = &bq.TableReference{ProjectId: projectID, DatasetId: "d", TableId: "t"}
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: &bq.JobConfiguration{Load: config}}).Media(strings.NewReader(content), options...).Do()
	for err == nil && j.Status.State != "DONE" {
		j, err = b.Jobs.Get(projectID, j.JobReference.JobId).Do()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return j
}

func TestLoad(t *testing.T) {
	fields := func(list string) *bq.TableSchema {
		s := &bq.TableSchema{}
		for _, f := range strings.Fields(list) {
			name, typ, _ := strings.Cut(f, ":")
			s.Fields = append(s.Fields, &bq.TableFieldSchema{Name: name, Type: typ})
		}
		return s
	}
	for name, c := range map[string]struct {
		content string
		config  bq.JobConfigurationLoad
		want    string // the rows, or the beginning of the error
	}{
		"CSV":             {"1,a,true\n2,\"b,\nc\",false\n", bq.JobConfigurationLoad{Schema: fields("x:INT64 s:STRING b:BOOL")}, "[[1 a true] [2 b,\nc false]]"},
		"CSV skip":        {"x;s;f\n1;;\n", bq.JobConfigurationLoad{Schema: fields("x:INT64 s:STRING f:FLOAT64"), SkipLeadingRows: 1, FieldDelimiter: ";"}, "[[1  NULL]]"},
		"CSV autodetect":  {"x,s,f\n1,a,0.5\n2,b,1\n", bq.JobConfigurationLoad{Autodetect: true}, "[[1 a 0.5] [2 b 1]]"},
		"CSV bad value":   {"1\nx\n", bq.JobConfigurationLoad{Schema: fields("x:INT64")}, "invalid Error while reading data, error message: Could not parse 'x' as INT64 for field x (position 0) in row 2."},
		"CSV columns":     {"1,2\n", bq.JobConfigurationLoad{Schema: fields("x:INT64")}, "invalid Error while reading data, error message: CSV row 1 has 2 columns"},
		"JSON":            {`{"x": 9007199254740993, "s": "a"}` + "\n" + `{"s": null}`, bq.JobConfigurationLoad{SourceFormat: "NEWLINE_DELIMITED_JSON", Schema: fields("x:INT64 s:STRING")}, "[[NULL NULL] [9007199254740993 a]]"},
		"JSON autodetect": {`{"x": 1, "b": true}` + "\n" + `{"x": 1.5, "b": null}`, bq.JobConfigurationLoad{SourceFormat: "NEWLINE_DELIMITED_JSON", Autodetect: true}, "[[NULL 1.5] [true 1]]"},
		"JSON unknown":    {`{"y": 1}`, bq.JobConfigurationLoad{SourceFormat: "NEWLINE_DELIMITED_JSON", Schema: fields("x:INT64")}, "invalid Error while reading data, error message: JSON parsing error in row 1: No such field: y."},
		"no schema":       {"1\n", bq.JobConfigurationLoad{}, "invalid No schema specified on job or table."},
		"format":          {"x", bq.JobConfigurationLoad{SourceFormat: "PARQUET", Autodetect: true}, "notImplemented "},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			b.do("CREATE SCHEMA d")
			j := b.load(c.content, &c.config)
			if e := j.Status.ErrorResult; e != nil {
				if got := e.Reason + " " + e.Message; !strings.HasPrefix(got, c.want) {
					t.Errorf("%s, want %s", got, c.want)
				}
				return
			}
			got := fmt.Sprint(b.rows("SELECT * FROM d.t ORDER BY 1"))
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if n := fmt.Sprint(j.Statistics.Load.OutputRows); n != fmt.Sprint(len(b.rows("SELECT * FROM d.t"))) || j.Configuration.JobType != "LOAD" {
				t.Errorf("%s rows of a %s job", n, j.Configuration.JobType)
			}
		})
	}
}

func TestLoadDispositions(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	for _, c := range []struct{ disposition, want string }{{"", "[[1]]"}, {"WRITE_APPEND", "[[1] [1]]"}, {"WRITE_TRUNCATE", "[[1]]"}, {"WRITE_EMPTY", "duplicate"}} {
		j := b.load("1\n", &bq.JobConfigurationLoad{Schema: &bq.TableSchema{Fields: []*bq.TableFieldSchema{{Name: "x", Type: "INT64"}}}, WriteDisposition: c.disposition})
		got := ""
		if j.Status.ErrorResult != nil {
			got = j.Status.ErrorResult.Reason
		} else {
			got = fmt.Sprint(b.rows("SELECT x FROM d.t"))
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.disposition, got, c.want)
		}
	}
}

// A file larger than a chunk comes in several requests.
func TestResumableUpload(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	lines := strings.Repeat("0123456789,0123456789\n", 30_000) // more than two chunks of the least size
	j := b.load(lines, &bq.JobConfigurationLoad{Schema: &bq.TableSchema{Fields: []*bq.TableFieldSchema{{Name: "x", Type: "STRING"}, {Name: "y", Type: "STRING"}}}},
		googleapi.ChunkSize(googleapi.MinUploadChunkSize))
	if j.Status.ErrorResult != nil {
		t.Fatalf("%+v", j.Status.ErrorResult)
	}
	b.want("SELECT COUNT(*), COUNTIF(x = '0123456789' AND y = x) FROM d.t", [][]string{{"30000", "30000"}})

	response, err := http.Post(strings.Replace(b.BasePath, "/bigquery/", "/upload/bigquery/", 1)+"projects/my-project/jobs?uploadType=odd", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 400 {
		t.Errorf("an unknown uploadType: %s", response.Status)
	}
}
