// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// A variable of a script becomes a typed literal in the text of the statement that
// uses it: the engine has no variables. What a name means is the engine's to say,
// because a column of the same name takes precedence: names are replaced where no
// column can be in sight, and elsewhere when the engine does not recognise them.

// value is what a variable or an expression holds.
type value struct {
	typ   string // as SQL spells it
	field *ast.Field
	cell  any // as in [ast.Result]
}

// literal is the value as an expression.
func (v value) literal() string { return cellLiteral(v.typ, v.field, v.cell) }

func stringValue(text string) value {
	return value{"STRING", &ast.Field{Type: "STRING"}, text}
}

func intValue(n int64) value {
	return value{"INT64", &ast.Field{Type: "INTEGER"}, strconv.FormatInt(n, 10)}
}

// null is NULL of a type.
func (v value) null() value { return value{v.typ, v.field, nil} }

func cellLiteral(typ string, f *ast.Field, cell any) string {
	switch cell := cell.(type) {
	case []any:
		element := *f
		element.Mode = "NULLABLE"
		all := make([]string, len(cell))
		for i, e := range cell {
			all[i] = cellLiteral(sqlType(&element), &element, inner(e))
		}
		return typ + "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		cells, _ := cell["f"].([]any)
		all := make([]string, len(f.Fields))
		for i, g := range f.Fields {
			var e any
			if i < len(cells) {
				e = inner(cells[i])
			}
			all[i] = cellLiteral(sqlType(g), g, e)
		}
		return typ + "(" + strings.Join(all, ", ") + ")"
	case string:
		switch f.Type {
		case "INTEGER", "INT64":
			return "(" + cell + ")"
		case "BOOLEAN", "BOOL":
			return cell
		case "STRING":
			return quoteString(cell)
		case "BYTES":
			return "FROM_BASE64(" + quoteString(cell) + ")"
		case "JSON":
			return "PARSE_JSON(" + quoteString(cell) + ")"
		case "GEOGRAPHY":
			return "ST_GEOGFROMTEXT(" + quoteString(cell) + ")"
		}
		return "CAST(" + quoteString(scalarText(f, cell)) + " AS " + typ + ")"
	}
	return "CAST(NULL AS " + typ + ")"
}

// scalarText is a scalar as a query parameter has it: a TIMESTAMP is not a number.
func scalarText(f *ast.Field, cell string) string {
	if f.Type == "TIMESTAMP" {
		if micros, err := strconv.ParseInt(cell, 10, 64); err == nil {
			return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.000000+00")
		}
	}
	return cell
}

// parameter is the value as a query parameter.
func (v value) parameter(name string) *bq.QueryParameter {
	typ, val := parameterOf(v.field, v.cell)
	return &bq.QueryParameter{Name: name, ParameterType: typ, ParameterValue: val}
}

func parameterOf(f *ast.Field, cell any) (*bq.QueryParameterType, *bq.QueryParameterValue) {
	if f.Mode == "REPEATED" {
		element := *f
		element.Mode = "NULLABLE"
		elementType, _ := parameterOf(&element, nil)
		out := &bq.QueryParameterValue{}
		cells, _ := cell.([]any)
		for _, e := range cells {
			_, val := parameterOf(&element, inner(e))
			out.ArrayValues = append(out.ArrayValues, val)
		}
		return &bq.QueryParameterType{Type: "ARRAY", ArrayType: elementType}, out
	}
	if f.Type == "RECORD" || f.Type == "STRUCT" {
		typ := &bq.QueryParameterType{Type: "STRUCT"}
		out := &bq.QueryParameterValue{StructValues: map[string]bq.QueryParameterValue{}}
		record, _ := cell.(map[string]any)
		cells, _ := record["f"].([]any)
		for i, g := range f.Fields {
			var e any
			if i < len(cells) {
				e = inner(cells[i])
			}
			fieldType, val := parameterOf(g, e)
			typ.StructTypes = append(typ.StructTypes, &bq.QueryParameterTypeStructTypes{Name: g.Name, Type: fieldType})
			if val != nil {
				out.StructValues[g.Name] = *val
			}
		}
		return typ, out
	}
	typ := &bq.QueryParameterType{Type: sqlType(f)}
	text, ok := cell.(string)
	if !ok {
		return typ, nil
	}
	return typ, &bq.QueryParameterValue{Value: scalarText(f, text), ForceSendFields: []string{"Value"}}
}

// inField is the value of a field of a struct.
func (v value) inField(name string) (value, bool) {
	if v.field.Mode == "REPEATED" {
		return value{}, false
	}
	i := slices.IndexFunc(v.field.Fields, func(f *ast.Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return value{}, false
	}
	f := v.field.Fields[i]
	record, _ := v.cell.(map[string]any)
	cells, _ := record["f"].([]any)
	out := value{typ: sqlType(f), field: f}
	if i < len(cells) {
		out.cell = inner(cells[i])
	}
	return out, true
}

// instance is a statement with values in place of query parameters and of the names
// of variables.
type instance struct {
	*ast.Statement
	text   string // of the script
	source *ast.Source
	before int    // bytes of Text before the source's
	edits  []edit // of the source, in order
}

// chosen are the names of a source that are known to mean variables, by index.
type chosen map[int]bool

// instantiate puts values in place of names, and text around the source.
// st is the source as it was parsed, if it is a statement.
func (x *execution) instantiate(source *ast.Source, st *ast.Statement, names chosen, before, after string) (*instance, error) {
	in := &instance{text: x.text, source: source, before: len(before)}
	if st == nil || !strings.HasSuffix(st.Type, "_FUNCTION") && !strings.HasSuffix(st.Type, "_VIEW") { // these cannot have any
		in.edits = x.parameters(source)
	}
	for i, n := range source.Names {
		if !n.Certain && !names[i] {
			continue
		}
		e, ok, err := x.substitute(n)
		if err != nil {
			return nil, err
		}
		if ok {
			in.edits = append(in.edits, e)
		}
	}
	if len(in.edits) == 0 && st != nil {
		in.Statement = st
		return in, nil
	}
	slices.SortFunc(in.edits, func(a, b edit) int { return a.Start - b.Start })
	var b strings.Builder
	b.WriteString(before)
	from := 0
	for _, e := range in.edits {
		b.WriteString(source.Text[from:e.Start])
		b.WriteString(e.text)
		from = e.End
	}
	b.WriteString(source.Text[from:])
	b.WriteString(after)
	script, err := x.cfg.Engine.Parse(b.String())
	if err != nil {
		return nil, err
	}
	if len(script.Statements) != 1 {
		return nil, fmt.Errorf("%q became %d statements", source.Text, len(script.Statements))
	}
	in.Statement = script.Statements[0]
	in.First = source.First
	return in, nil
}

// substitute is the edit that puts a variable's value in place of a name, if there
// is such a variable.
func (x *execution) substitute(n ast.Name) (edit, bool, error) {
	if n.System {
		v, err := x.systemVariable(n.Path)
		return edit{n.Range, v.literal()}, err == nil, err
	}
	v, ok := x.env.lookup(n.Path[0])
	if !ok {
		return edit{}, false, nil
	}
	depth := 1
	for ; depth < len(n.Path); depth++ {
		inField, ok := v.inField(n.Path[depth])
		if !ok {
			break
		}
		v = inField
	}
	e := edit{ast.Range{Start: n.Start, End: n.Ends[depth-1]}, v.literal()}
	switch {
	case depth < len(n.Path):
		e.text = "(" + e.text + ")" // the rest is the engine's to refuse
	case n.Column:
		e.text += " AS " + quote(n.Path[depth-1])
	}
	return e, true, nil
}

// origin is where in the source a byte of the instance's text comes from.
func (in *instance) origin(at int) int {
	at -= in.before
	shift := 0
	for _, e := range in.edits {
		start := e.Start + shift
		if at < start {
			break
		}
		if at < start+len(e.text) {
			return e.Start
		}
		shift += len(e.text) - (e.End - e.Start)
	}
	return min(max(at-shift, 0), len(in.source.Text))
}

// placed moves the positions in an error about the instance's text to where they
// are in the script.
func (in *instance) placed(err error) error {
	return replaced(err, func(line, column int) (int, int) {
		return ast.Place(in.text, in.source.Offset+in.origin(ast.Offset(in.Text, line, column)))
	})
}

// replaced moves the positions in an error of the engine.
func replaced(err error, to func(line, column int) (int, int)) error {
	known, ok := errors.AsType[*ast.Error](err)
	if !ok {
		return err
	}
	message := at.ReplaceAllStringFunc(known.Message, func(position string) string {
		m := at.FindStringSubmatch(position)
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		line, column = to(line, column)
		return fmt.Sprintf(" at [%d:%d]", line, column)
	})
	return &ast.Error{Status: known.Status, Message: message}
}

// resolving runs a source until it has no name left that the engine does not
// recognise and a variable has. Nothing has an effect before all names are
// recognised.
func (x *execution) resolving(ctx context.Context, source *ast.Source, st *ast.Statement, before, after string, run func(in *instance) error) error {
	names := x.resolved[source]
	if names == nil {
		names = chosen{}
		x.resolved[source] = names
	}
	for {
		in, err := x.instantiate(source, st, names, before, after)
		if err != nil {
			return err
		}
		err = run(in)
		if err == nil || ctx.Err() != nil {
			return err
		}
		i, ok := x.unrecognised(in, names, err)
		if !ok {
			return x.worded(in.placed(err))
		}
		names[i] = true
	}
}

const unrecognisedName = "Unrecognized name: "

// unrecognised finds the name that an error of the engine is about among those of
// variables that are not replaced yet.
func (x *execution) unrecognised(in *instance, names chosen, err error) (int, bool) {
	known, ok := errors.AsType[*ast.Error](err)
	if !ok {
		return 0, false
	}
	_, rest, ok := strings.Cut(known.Message, unrecognisedName)
	m := at.FindStringSubmatch(known.Message)
	if !ok || m == nil {
		return 0, false
	}
	name := strings.ToLower(strings.Trim(strings.FieldsFunc(rest, func(r rune) bool { return r == ';' || r == ' ' || r == '.' })[0], "`"))
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	offset := in.origin(ast.Offset(in.Text, line, column))
	found := -1
	for i, n := range in.source.Names {
		if n.Certain || names[i] || n.System || !strings.EqualFold(n.Path[0], name) {
			continue
		}
		if _, known := x.env.lookup(n.Path[0]); !known {
			continue
		}
		if n.Start == offset {
			return i, true
		}
		if found < 0 {
			found = i // the input of an ML.PREDICT is placed in a text of its own
		}
	}
	return found, found >= 0
}

// compute evaluates an expression. typ is the type that it has to fit, or empty.
func (x *execution) compute(ctx context.Context, source *ast.Source, typ string, out *outcome) (value, error) {
	if typ == "" {
		return x.computeWithin(ctx, source, "SELECT (", "\n) AS v", out)
	}
	v, err := x.computeWithin(ctx, source, "SELECT STRUCT<v "+typ+">((", "\n)).v AS v", out)
	v.typ = typ
	return v, err
}

func (x *execution) computeWithin(ctx context.Context, source *ast.Source, before, after string, out *outcome) (value, error) {
	var v value
	err := x.resolving(ctx, source, nil, before, after, func(in *instance) error {
		result, err := x.rowsOf(ctx, in, out)
		if err != nil {
			return err
		}
		v.field, v.typ = result.Fields[0], sqlType(result.Fields[0])
		if len(result.Rows) == 1 {
			v.cell = result.Rows[0][0]
		}
		return nil
	})
	if failed, ok := errors.AsType[*ast.Error](err); ok {
		if m := doesNotFit.FindStringSubmatch(failed.Message); m != nil {
			failed.Message = doesNotFit.ReplaceAllString(failed.Message, "Expected type $2; found $1$3")
		}
	}
	return v, err
}

// rowsOf is the result of a query, with what it reads added to out.
func (x *execution) rowsOf(ctx context.Context, in *instance, out *outcome) (*ast.Result, error) {
	seen := *out
	if err := x.scan(ctx, in.Statement, &seen); err != nil {
		return nil, err
	}
	edits, cleanUp, err := x.predicts(ctx, in.Statement, in.First, &seen)
	defer cleanUp()
	if err != nil {
		return nil, err
	}
	p := cut(in.Statement, in.First, ast.Range{Start: 0, End: len(in.Text)}, edits)
	if x.dryRun && len(in.Tables) > 0 {
		fields, err := x.columns(ctx, p)
		*out = seen
		return &ast.Result{Fields: fields}, err
	}
	result, err := x.run(ctx, p, true)
	if err == nil {
		*out = seen
	}
	return result, err
}
