// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"time"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

// plain is the loop that a programmer writes with Google's client and the standard
// library: it reads by REST and writes CSV or JSON.
func plain(addr, format string, out io.Writer) error {
	ctx := context.Background()
	client, err := bigquery.NewClient(ctx, "bench", option.WithEndpoint("http://"+addr+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		return err
	}
	defer client.Close()
	rows, err := client.Query("SELECT * FROM bench.result").Read(ctx)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	records, objects := csv.NewWriter(buffered), json.NewEncoder(buffered)
	var row []bigquery.Value
	for first := true; ; first = false {
		if err := rows.Next(&row); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			return err
		}
		if format == "json" {
			object := make(map[string]any, len(row))
			for i, value := range row {
				if r, ok := value.(*big.Rat); ok {
					value = r.FloatString(9)
				}
				object[rows.Schema[i].Name] = value
			}
			separator := ","
			if first {
				separator = "["
			}
			_, _ = buffered.WriteString(separator)
			if err := objects.Encode(object); err != nil {
				return err
			}
			continue
		}
		record := make([]string, len(row))
		if first {
			for i, field := range rows.Schema {
				record[i] = field.Name
			}
			if err := records.Write(record); err != nil {
				return err
			}
		}
		for i, value := range row {
			switch v := value.(type) {
			case string:
				record[i] = v
			case int64:
				record[i] = strconv.FormatInt(v, 10)
			case float64:
				record[i] = strconv.FormatFloat(v, 'g', -1, 64)
			case bool:
				record[i] = strconv.FormatBool(v)
			case time.Time:
				record[i] = v.Format(time.RFC3339Nano)
			case *big.Rat:
				record[i] = v.FloatString(9)
			default:
				record[i] = fmt.Sprint(v)
			}
		}
		if err := records.Write(record); err != nil {
			return err
		}
	}
	if format == "json" {
		_, _ = buffered.WriteString("]\n")
	}
	records.Flush()
	return errors.Join(records.Error(), buffered.Flush())
}
