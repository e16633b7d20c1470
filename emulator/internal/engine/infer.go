// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"strings"

	"github.com/goccy/go-googlesql"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// sqlTypes are the types that a query parameter can have, as GoogleSQL names them,
// and what the API calls them in a schema.
var sqlTypes = []struct {
	kind googlesql.TypeKind
	sql  string
	api  string
}{
	{googlesql.TypeKindTypeInt64, "INT64", "INTEGER"},
	{googlesql.TypeKindTypeDouble, "FLOAT64", "FLOAT"},
	{googlesql.TypeKindTypeBool, "BOOL", "BOOLEAN"},
	{googlesql.TypeKindTypeString, "STRING", "STRING"},
	{googlesql.TypeKindTypeBytes, "BYTES", "BYTES"},
	{googlesql.TypeKindTypeNumeric, "NUMERIC", "NUMERIC"},
	{googlesql.TypeKindTypeBignumeric, "BIGNUMERIC", "BIGNUMERIC"},
	{googlesql.TypeKindTypeDate, "DATE", "DATE"},
	{googlesql.TypeKindTypeTime, "TIME", "TIME"},
	{googlesql.TypeKindTypeDatetime, "DATETIME", "DATETIME"},
	{googlesql.TypeKindTypeTimestamp, "TIMESTAMP", "TIMESTAMP"},
	{googlesql.TypeKindTypeInterval, "INTERVAL", "INTERVAL"},
	{googlesql.TypeKindTypeGeography, "GEOGRAPHY", "GEOGRAPHY"},
	{googlesql.TypeKindTypeJson, "JSON", "JSON"},
}

// Infer tells the types that GoogleSQL gives to the positional parameters of a
// statement, none of which is declared: INT64, ARRAY<STRING>, ….
func (e *Engine) Infer(sql string, tables []ast.Table) ([]string, error) { return Infer(sql, tables) }

// Infer is [Engine.Infer] without a running engine.
func Infer(sql string, tables []ast.Table) (types []string, err error) {
	if err := initParser(); err != nil {
		return nil, fmt.Errorf("load the SQL parser: %w", err)
	}
	defer exclusively()()
	factory, err := googlesql.NewTypeFactory()
	if err != nil {
		return nil, err
	}
	language, err := googlesql.NewLanguageOptions()
	if err != nil {
		return nil, err
	}
	options, err := googlesql.NewAnalyzerOptions2()
	if err != nil {
		return nil, err
	}
	for _, set := range []func() error{
		language.EnableMaximumLanguageFeaturesForDevelopment, language.SetSupportsAllStatementKinds,
		func() error { return options.SetLanguage(language) },
		func() error { return options.SetParameterMode(googlesql.ParameterModeParameterPositional) },
		func() error { return options.SetAllowUndeclaredParameters(true) },
	} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	root, err := googlesql.NewSimpleCatalog("bigquery", factory)
	if err != nil {
		return nil, err
	}
	if err := root.AddBuiltinFunctionsAndTypes(&googlesql.BuiltinFunctionOptions{LanguageOptions: language}); err != nil {
		return nil, err
	}
	c := &catalog{factory: factory, root: root, nested: map[string]*googlesql.SimpleCatalog{}}
	for _, t := range tables {
		if err := c.add(t); err != nil {
			return nil, err
		}
	}
	out, err := googlesql.AnalyzeStatement(sql, options, root, factory)
	if err != nil {
		return nil, &ast.SyntaxError{Message: Message(err.Error())}
	}
	found, err := out.UndeclaredPositionalParameters()
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		text, err := typeText(f)
		if err != nil {
			return nil, err
		}
		types = append(types, text)
	}
	return types, nil
}

// catalog is what a statement may name.
type catalog struct {
	factory *googlesql.TypeFactory
	root    *googlesql.SimpleCatalog
	nested  map[string]*googlesql.SimpleCatalog // by path
}

// add makes a table known under its path, and under all of it as one name, which is
// what the library takes a path in backquotes for.
func (c *catalog) add(t ast.Table) error {
	table, err := googlesql.NewSimpleTable(t.Path[len(t.Path)-1], 0)
	if err != nil {
		return err
	}
	for _, f := range t.Fields {
		typ, err := c.typeOf(f)
		if err != nil {
			return err
		}
		column, err := googlesql.NewSimpleColumn(t.Path[len(t.Path)-1], f.Name, typ, false, true)
		if err != nil {
			return err
		}
		if err := table.AddColumn2(column, false); err != nil {
			return err
		}
	}
	in, path := c.root, ""
	for _, name := range t.Path[:len(t.Path)-1] {
		path += "." + strings.ToLower(name)
		if c.nested[path] == nil {
			if c.nested[path], err = in.MakeOwnedSimpleCatalog(name); err != nil {
				return err
			}
		}
		in = c.nested[path]
	}
	if err := in.AddTable2(t.Path[len(t.Path)-1], table); err != nil || len(t.Path) == 1 {
		return err
	}
	return c.root.AddTable2(strings.Join(t.Path, "."), table)
}

func (c *catalog) typeOf(f *ast.Field) (googlesql.Googlesql_TypeNode, error) {
	if f.Mode == "REPEATED" {
		element := *f
		element.Mode = ""
		typ, err := c.typeOf(&element)
		if err != nil {
			return nil, err
		}
		return c.factory.MakeArrayType2(typ)
	}
	if f.Type == "RECORD" || f.Type == "STRUCT" {
		fields := make([]*googlesql.StructField, len(f.Fields))
		for i, inner := range f.Fields {
			typ, err := c.typeOf(inner)
			if err != nil {
				return nil, err
			}
			fields[i] = &googlesql.StructField{Name: inner.Name, Type_: typ}
		}
		return c.factory.MakeStructType2(fields)
	}
	for _, t := range sqlTypes {
		if f.Type == t.api || f.Type == t.sql {
			return c.factory.MakeSimpleType(t.kind)
		}
	}
	return nil, fmt.Errorf("a column of type %s", f.Type)
}

func typeText(t googlesql.Googlesql_TypeNode) (string, error) {
	kind, err := t.Kind()
	if err != nil {
		return "", err
	}
	if kind == googlesql.TypeKindTypeArray {
		array, err := t.AsArray()
		if err != nil {
			return "", err
		}
		element, err := array.ElementType()
		if err != nil {
			return "", err
		}
		text, err := typeText(element)
		return "ARRAY<" + text + ">", err
	}
	for _, s := range sqlTypes {
		if s.kind == kind {
			return s.sql, nil
		}
	}
	return "", fmt.Errorf("a parameter of the type %s", kind)
}
