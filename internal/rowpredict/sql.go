// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Columns of the work tables beside those of the source and of the model.
const (
	ownPrefix = "_gcpml_"

	runColumn   = ownPrefix + "run"   // in: the id of the run
	bytesColumn = ownPrefix + "bytes" // in: the size of the row's instance
	hashColumn  = ownPrefix + "hash"  // both: of the key
	okColumn    = ownPrefix + "ok"    // out: the prediction is complete
	chunkColumn = ownPrefix + "chunk" // out: which job made the row
	roundColumn = ownPrefix + "round"
	slotColumn  = ownPrefix + "slot"
	lineColumn  = ownPrefix + "line" // of a local file
)

// tables renders the statements of one run. All columns are spelled as the source and
// the model spell them.
type tables struct {
	model        gcp.RemoteModelName
	input        []string
	output       []bqml.Column
	nullable     []string
	source       query.Schema // the columns to keep
	keys         []query.Field
	in, out      query.Table
	into         query.Table
	write        Mode
	targetExists bool
	limits       limits
}

type sqlText struct{ bqml.Statement }

func (s *sqlText) fixed(sql string) *sqlText       { s.Fixed(sql); return s }
func (s *sqlText) name(name string) *sqlText       { s.Identifier(name); return s }
func (s *sqlText) table(t query.Table) *sqlText    { return s.name(tablePath(t)) }
func (s *sqlText) add(f func(s *sqlText)) *sqlText { f(s); return s }

func tablePath(t query.Table) string { return t.Project + "." + t.Dataset + "." + t.ID }

func (s *sqlText) model(m gcp.RemoteModelName) *sqlText {
	return s.fixed("MODEL ").name(m.Project + "." + m.Dataset + "." + m.ID)
}

// names writes a list of columns, each after a prefix such as "i.".
func (s *sqlText) names(prefix string, names ...string) *sqlText {
	return s.list(", ", len(names), func(i int) { s.fixed(prefix).name(names[i]) })
}

func (s *sqlText) list(separator string, n int, each func(i int)) *sqlText {
	for i := range n {
		if i > 0 {
			s.fixed(separator)
		}
		each(i)
	}
	return s
}

func fieldNames(fields []query.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func (t *tables) keyNames() []string { return fieldNames(t.keys) }

func (t *tables) outputNames() []string {
	names := make([]string, len(t.output))
	for i, c := range t.output {
		names[i] = c.Name
	}
	return names
}

// keyText writes the key of a row as JSON.
func (s *sqlText) keyText(prefix string, keys []string) *sqlText {
	return s.fixed("TO_JSON_STRING(STRUCT(").names(prefix, keys...).fixed("))")
}

// sameKey writes that two tables have the same key; keys are never NULL.
func (s *sqlText) sameKey(a, b string, keys []string) *sqlText {
	return s.list(" AND ", len(keys), func(i int) { s.fixed(a).name(keys[i]).fixed(" = " + b).name(keys[i]) })
}

var expiry = fmt.Sprintf("OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL %d DAY))", expiryDays)

// snapshot makes the table "in" of the source, unless it is there.
func (t *tables) snapshot(source, run string) (string, error) {
	var s sqlText
	s.fixed("CREATE TABLE IF NOT EXISTS ").table(t.in).fixed("\nCLUSTER BY ").name(hashColumn).fixed("\n" + expiry + " AS\nSELECT *, ")
	s.Literal(run)
	s.fixed(" AS ").name(runColumn).fixed(",\n  BYTE_LENGTH(TO_JSON_STRING(STRUCT(").names("", t.input...).fixed("))) AS ").name(bytesColumn)
	s.fixed(",\n  FARM_FINGERPRINT(").keyText("", t.keyNames()).fixed(") AS ").name(hashColumn).fixed("\nFROM ").Subquery(source)
	return s.Finish()
}

// statistics asks for: rows, rows with a NULL in the key, rows beyond @limit bytes,
// rows beyond @ordinary bytes, the largest size, the run.
func (t *tables) statistics() (string, error) {
	var s sqlText
	s.fixed("SELECT COUNT(*), COUNTIF(").list(" OR ", len(t.keys), func(i int) { s.name(t.keys[i].Name).fixed(" IS NULL") })
	s.fixed("), COUNTIF(" + bytesColumn + " > @limit), COUNTIF(" + bytesColumn + " > @ordinary), IFNULL(MAX(" + bytesColumn + "), 0), ANY_VALUE(" + runColumn + ") FROM ").table(t.in)
	return s.Finish()
}

// shown is how many offending rows an error names.
const shown = 5

// duplicates asks for keys that occur more than once, and how often.
func (t *tables) duplicates() (string, error) {
	var s sqlText
	s.fixed("SELECT ").keyText("", t.keyNames()).fixed(" AS k, COUNT(*) AS n FROM ").table(t.in).fixed(" GROUP BY ").names("", t.keyNames()...)
	return s.fixed(" HAVING COUNT(*) > 1 ORDER BY n DESC, k LIMIT " + strconv.Itoa(shown)).Finish()
}

// tooLarge asks for the keys and sizes of the largest rows beyond @limit.
func (t *tables) tooLarge() (string, error) {
	var s sqlText
	s.fixed("SELECT ").keyText("", t.keyNames()).fixed(" AS k, " + bytesColumn + " FROM ").table(t.in)
	return s.fixed(" WHERE " + bytesColumn + " > @limit ORDER BY " + bytesColumn + " DESC, k LIMIT " + strconv.Itoa(shown)).Finish()
}

// conflicts asks for keys that the target has already.
func (t *tables) conflicts() (string, error) {
	var s sqlText
	s.fixed("SELECT DISTINCT ").keyText("i.", t.keyNames()).fixed(" AS k FROM ").table(t.in).fixed(" AS i JOIN ").table(t.into).fixed(" AS t ON ")
	return s.sameKey("i.", "t.", t.keyNames()).fixed(" ORDER BY k LIMIT " + strconv.Itoa(shown)).Finish()
}

// large asks for hash and size of the rows that need a request of their own.
func (t *tables) large() (string, error) {
	var s sqlText
	s.fixed("SELECT " + hashColumn + ", " + bytesColumn + " FROM ").table(t.in)
	return s.fixed(" WHERE " + bytesColumn + " > @ordinary AND " + bytesColumn + " <= @limit ORDER BY " + hashColumn).Finish()
}

// journal makes the table "out".
func (t *tables) journal() (string, error) {
	var s sqlText
	s.fixed("CREATE TABLE IF NOT EXISTS ").table(t.out).fixed(" (")
	for _, k := range t.keys {
		s.name(k.Name).fixed(" " + k.SQLType() + ", ")
	}
	for _, c := range t.output {
		s.name(c.Name).fixed(" " + c.Type + ", ")
	}
	s.name(bqml.StatusColumn).fixed(" STRING, " + okColumn + " BOOL, " + chunkColumn + " INT64, " + roundColumn + " INT64, " + slotColumn + " INT64, " + hashColumn + " INT64)")
	return s.fixed("\nCLUSTER BY " + chunkColumn + "\n" + expiry).Finish()
}

func isArray(sqlType string) bool { return strings.HasPrefix(sqlType, "ARRAY<") }

// complete writes the condition that a prediction is complete.
func (t *tables) complete(s *sqlText) {
	s.fixed("IFNULL(" + bqml.StatusColumn + ", '') = ''")
	for _, c := range t.output {
		switch {
		case slices.ContainsFunc(t.nullable, func(n string) bool { return strings.EqualFold(n, c.Name) }):
		case isArray(c.Type):
			s.fixed(" AND IFNULL(ARRAY_LENGTH(").name(c.Name).fixed("), 0) > 0")
		default:
			s.fixed(" AND ").name(c.Name).fixed(" IS NOT NULL")
		}
	}
}

// predict appends the predictions of a chunk, or of some of its rows, to the journal.
func (t *tables) predict(some bool) (string, error) {
	var s sqlText
	columns := append(t.keyNames(), t.outputNames()...)
	s.fixed("INSERT INTO ").table(t.out).fixed(" (").names("", columns...)
	s.fixed(", " + strings.Join([]string{bqml.StatusColumn, okColumn, chunkColumn, roundColumn, slotColumn, hashColumn}, ", ") + ")\nSELECT ")
	s.names("", columns...).fixed(", " + bqml.StatusColumn + ", ").add(t.complete).fixed(", @chunk, @round, @slot, " + hashColumn)
	inputs := t.keyNames()
	for _, name := range t.input {
		if !slices.ContainsFunc(inputs, func(k string) bool { return strings.EqualFold(k, name) }) {
			inputs = append(inputs, name)
		}
	}
	s.fixed("\nFROM ML.PREDICT(").model(t.model).fixed(", (SELECT ").names("", inputs...).fixed(", " + hashColumn + " FROM ").table(t.in)
	return s.fixed(" WHERE ").add(members("", some)).fixed("))").Finish()
}

// members writes which rows of "in" belong to a chunk: between @low and @high, and
// either of at most @ordinary bytes or in the list @hashes.
func members(prefix string, listed bool) func(*sqlText) {
	return func(s *sqlText) {
		s.fixed(prefix + hashColumn + " BETWEEN @low AND @high AND ")
		if listed {
			s.fixed(prefix + hashColumn + " IN (SELECT CAST(h AS INT64) FROM UNNEST(SPLIT(@hashes, ',')) AS h)")
			return
		}
		s.fixed(prefix + bytesColumn + " <= @ordinary")
	}
}

// pending asks for the rows of a chunk that have no good prediction from the rounds
// before @round: hash, and status of the last round.
func (t *tables) pending(listed bool) (string, error) {
	var s sqlText
	s.fixed("SELECT i." + hashColumn + ", MAX(IF(o." + roundColumn + " = @round - 1, o." + bqml.StatusColumn + ", NULL))\nFROM ").table(t.in).fixed(" AS i LEFT JOIN ").table(t.out)
	s.fixed(" AS o ON o."+chunkColumn+" = @chunk AND o."+roundColumn+" < @round AND o."+hashColumn+" = i."+hashColumn+" AND ").sameKey("o.", "i.", t.keyNames())
	s.fixed("\nWHERE ").add(members("i.", listed)).fixed("\nGROUP BY i."+hashColumn+", ").names("i.", t.keyNames()...)
	return s.fixed("\nHAVING NOT IFNULL(LOGICAL_OR(o." + okColumn + "), FALSE) ORDER BY i." + hashColumn).Finish()
}

// progress asks for what the journal holds: for each chunk the last round, the rows
// and the failed ones among them.
func (t *tables) progress() (string, error) {
	var s sqlText
	s.fixed("SELECT " + chunkColumn + ", MAX(last), COUNT(*), COUNTIF(NOT good) FROM (\n  SELECT " + chunkColumn + ", MAX(" + roundColumn + ") AS last, LOGICAL_OR(" + okColumn + ") AS good FROM ").table(t.out)
	return s.fixed(" GROUP BY "+chunkColumn+", ").names("", t.keyNames()...).fixed("\n) GROUP BY " + chunkColumn).Finish()
}

// best writes the best try of each key.
func (t *tables) best(s *sqlText) {
	s.fixed("(SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY ").names("", t.keyNames()...)
	s.fixed(" ORDER BY " + okColumn + " DESC, " + roundColumn + " DESC, " + slotColumn + ") AS _gcpml_rank FROM ").table(t.out).fixed(") WHERE _gcpml_rank = 1)")
}

// result writes the rows for the target: outputs, status, the columns of the source
// and whether the prediction is complete.
func (t *tables) result(s *sqlText) {
	s.fixed("SELECT ").names("o.", t.outputNames()...).fixed(", ").add(t.status).fixed(" AS "+bqml.StatusColumn+", ").names("i.", fieldNames(t.source)...)
	s.fixed(", IFNULL(o."+okColumn+", FALSE) AS "+okColumn+"\nFROM ").table(t.in).fixed(" AS i LEFT JOIN ").add(t.best).fixed(" AS o ON ").sameKey("i.", "o.", t.keyNames())
}

// status writes the status of a row of "in" i joined with its best try o.
func (t *tables) status(s *sqlText) {
	s.fixed(fmt.Sprintf("CASE WHEN i.%s > %d THEN 'not sent: the row is too large for a request to the endpoint'", bytesColumn, requestFor))
	s.fixed(" WHEN o." + okColumn + " IS NULL THEN 'ML.PREDICT did not return the row'")
	s.fixed(" WHEN NOT o." + okColumn + " AND IFNULL(o." + bqml.StatusColumn + ", '') = '' THEN 'the prediction is incomplete: an OUTPUT column is NULL or empty'")
	s.fixed(" ELSE o." + bqml.StatusColumn + " END")
}

// tally asks for: rows, good ones, ones that took a retry, ones without any try.
func (t *tables) tally() (string, error) {
	var s sqlText
	s.fixed("SELECT COUNT(*), COUNTIF(good), COUNTIF(last > 0), COUNTIF(last IS NULL) FROM (SELECT IFNULL(LOGICAL_OR(o." + okColumn + "), FALSE) AS good, MAX(o." + roundColumn + ") AS last FROM ")
	s.table(t.in).fixed(" AS i LEFT JOIN ").table(t.out).fixed(" AS o ON ").sameKey("i.", "o.", t.keyNames()).fixed(" GROUP BY ").names("i.", t.keyNames()...)
	return s.fixed(")").Finish()
}

// statuses asks for the reasons of the failed rows: text, rows, a key. tried leaves
// out those without any try.
func (t *tables) statuses(tried bool) (string, error) {
	var s sqlText
	s.fixed("SELECT status, COUNT(*) AS n, MIN(k) FROM (SELECT ").add(t.status).fixed(" AS status, ").keyText("i.", t.keyNames()).fixed(" AS k FROM ")
	s.table(t.in).fixed(" AS i LEFT JOIN ").add(t.best).fixed(" AS o ON ").sameKey("i.", "o.", t.keyNames())
	s.fixed(" WHERE NOT IFNULL(o." + okColumn + ", FALSE)")
	if tried {
		s.fixed(" AND o." + okColumn + " IS NOT NULL")
	}
	return s.fixed(") GROUP BY status ORDER BY n DESC, status LIMIT " + strconv.Itoa(shown)).Finish()
}

// target writes the result to the target. The statement can be executed twice.
func (t *tables) target() (string, error) {
	var s sqlText
	if !t.targetExists {
		s.fixed("CREATE TABLE IF NOT EXISTS ").table(t.into).fixed(" AS\nSELECT * EXCEPT (" + okColumn + ") FROM (").add(t.result).fixed(")")
		return s.Finish()
	}
	columns := slices.Concat(t.outputNames(), []string{bqml.StatusColumn}, fieldNames(t.source))
	s.fixed("MERGE ").table(t.into).fixed(" AS t USING (").add(t.result).fixed(") AS s\nON ")
	if t.write == Truncate {
		s.fixed("FALSE")
	} else {
		s.sameKey("t.", "s.", t.keyNames())
	}
	if t.write == Merge {
		var changed []string
		for _, name := range columns {
			if !slices.ContainsFunc(t.keys, func(k query.Field) bool { return strings.EqualFold(k.Name, name) }) {
				changed = append(changed, name)
			}
		}
		s.fixed("\nWHEN MATCHED AND s."+okColumn+" THEN UPDATE SET ").list(", ", len(changed), func(i int) { s.name(changed[i]).fixed(" = s.").name(changed[i]) })
	}
	s.fixed("\nWHEN NOT MATCHED BY TARGET THEN INSERT (").names("", columns...).fixed(") VALUES (").names("s.", columns...).fixed(")")
	if t.write == Truncate {
		s.fixed("\nWHEN NOT MATCHED BY SOURCE THEN DELETE")
	}
	return s.Finish()
}

func drop(table query.Table) (string, error) {
	var s sqlText
	return s.fixed("DROP TABLE IF EXISTS ").table(table).Finish()
}

// SelectAll is the query that reads a table.
func SelectAll(table query.Table) (string, error) {
	var s sqlText
	return s.fixed("SELECT * FROM ").table(table).Finish()
}

// Parameters.

func integer(name string, value int64) *bigquery.QueryParameter {
	return parameter(name, "INT64", strconv.FormatInt(value, 10))
}

func text(name, value string) *bigquery.QueryParameter { return parameter(name, "STRING", value) }

func parameter(name, sqlType, value string) *bigquery.QueryParameter {
	return &bigquery.QueryParameter{
		Name: name, ParameterType: &bigquery.QueryParameterType{Type: sqlType},
		ParameterValue: &bigquery.QueryParameterValue{Value: value, ForceSendFields: []string{"Value"}},
	}
}

// hashList is the parameter @hashes.
func hashList(hashes []int64) *bigquery.QueryParameter {
	words := make([]string, len(hashes))
	for i, h := range hashes {
		words[i] = strconv.FormatInt(h, 10)
	}
	return text("hashes", strings.Join(words, ","))
}
