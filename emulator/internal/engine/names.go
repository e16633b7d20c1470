// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-googlesql"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// The execution engine finds a table by the end of its name, in whatever project
// it is, and makes a.b_c and a_b.c the same table. So all of its datasets are in one
// project, a dataset d of the project p is called "p:d:" in there, and every name in
// a text is written in full before the text is run. Nobody outside this package sees
// such a name.

// home is the engine's one project.
const home = "gcpml"

// inner is the engine's name of a dataset. A dot, which domain-scoped projects
// have, would split it.
func inner(project, dataset string) string {
	return strings.ReplaceAll(project, ".", "~") + ":" + dataset + ":"
}

type named struct{ project, id string }

// names knows the datasets that were made and what views were made of.
type names struct {
	mu       sync.Mutex
	datasets map[string]bool   // by inner name: those that there are
	spelled  map[string]named  // by inner name: those that were ever named
	views    map[string]string // "inner name.view" → its query as it was written
}

func (n *names) add(project, dataset string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.datasets[inner(project, dataset)] = true
}

// inner is [inner] of a dataset whose name may come back in a message.
func (n *names) inner(project, id string) string {
	name := inner(project, id)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.spelled[name] = named{project, id}
	return name
}

func (n *names) remove(project, dataset string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := inner(project, dataset)
	delete(n.datasets, name)
	for view := range n.views {
		if strings.HasPrefix(view, name+".") {
			delete(n.views, view)
		}
	}
}

func (n *names) known(project, dataset string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.datasets[inner(project, dataset)]
}

// outer puts the datasets' own names back into a text of the engine.
func (n *names) outer(text string) string {
	if !strings.Contains(text, ":") {
		return text
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// The longest first: the name of one project can end that of another.
	all := make([]string, 0, len(n.spelled))
	for name := range n.spelled {
		all = append(all, name)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, name := range all {
		d := n.spelled[name]
		text = strings.NewReplacer(
			"`"+home+"`.`"+name+"`", "`"+d.project+"`."+d.id,
			home+".`"+name+"`", d.project+"."+d.id,
			home+"_"+name+"_", d.project+"."+d.id+".",
			home+"."+name, d.project+"."+d.id,
			home+":"+name, d.project+":"+d.id,
			"`"+name+"`", d.id,
			name, d.id,
		).Replace(text)
	}
	return text
}

// viewed keeps the query of a view as it was written.
func (n *names) viewed(name, query string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.views[name] = query
}

// restore puts the datasets' own names, and the queries of views as they were
// written, back into an answer of the engine.
func (n *names) restore(answer any) {
	switch answer := answer.(type) {
	case []any:
		for _, e := range answer {
			n.restore(e)
		}
	case map[string]any:
		if reference, ok := answer["tableReference"].(map[string]any); ok {
			dataset, _ := reference["datasetId"].(string)
			n.mu.Lock()
			query, known := n.views[dataset+"."+tableOf(answer)]
			n.mu.Unlock()
			if view, ok := answer["view"].(map[string]any); ok && known {
				view["query"] = query
			}
		}
		for key, e := range answer {
			if text, ok := e.(string); ok && key == "datasetId" {
				answer[key] = n.outer(text)
				continue
			}
			n.restore(e)
		}
	}
}

// reveal puts the datasets' own names and the project into the rows of an
// INFORMATION_SCHEMA.
func (n *names) reveal(result *ast.Result, project string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, row := range result.Rows {
		for i, cell := range row {
			text, ok := cell.(string)
			if !ok {
				continue
			}
			if text == home {
				row[i] = project
			} else if d, known := n.spelled[text]; known {
				row[i] = d.id
			}
		}
	}
}

// change replaces a range of a text.
type change struct {
	ast.Range
	text string
}

// qualified is a text in which every name of a table or function is complete.
type qualified struct {
	sql     string
	changes []change // in order
	before  string   // the text without the changes
	view    string   // "inner name.view" if the text creates a view
	query   string   // the view's query as it was written
	system  bool     // it reads an INFORMATION_SCHEMA
}

// qualifier finds the names in a text.
type qualifier struct {
	ast.Query
	names *names
	out   *qualified
	fail  error
}

// sight is what hides tables from a part of a query: WITH entries and the range
// variables of FROM clauses.
type sight struct {
	outside *sight
	with    map[string]bool
	from    map[string]bool
}

func (s *sight) within() *sight {
	return &sight{outside: s, with: map[string]bool{}, from: map[string]bool{}}
}

func (s *sight) hasWith(name string) bool {
	for ; s != nil; s = s.outside {
		if s.with[strings.ToLower(name)] {
			return true
		}
	}
	return false
}

func (s *sight) hasFrom(name string) bool {
	for ; s != nil; s = s.outside {
		if s.from[strings.ToLower(name)] {
			return true
		}
	}
	return false
}

// qualify completes the names in a query's text.
func (n *names) qualify(q ast.Query) (out *qualified, err error) {
	defer exclusively()()
	root, err := parseTree(q.SQL)
	if err != nil {
		return nil, err
	}
	defer caught(&err)
	out = &qualified{before: q.SQL}
	w := &qualifier{Query: q, names: n, out: out}
	for _, list := range children(root) {
		for _, statement := range children(list) {
			w.statement(statement)
		}
	}
	if w.fail != nil {
		return nil, w.fail
	}
	slices.SortFunc(out.changes, func(a, b change) int { return a.Start - b.Start })
	var b strings.Builder
	from := 0
	for _, c := range out.changes {
		b.WriteString(q.SQL[from:c.Start])
		b.WriteString(c.text)
		from = c.End
	}
	b.WriteString(q.SQL[from:])
	out.sql = b.String()
	return out, nil
}

// statement completes the names that a statement acts on, then those in it.
func (w *qualifier) statement(n googlesql.ASTNode) {
	s := (*sight)(nil).within()
	if kind(n) != "QueryStatement" {
		temporary := false
		if c, ok := n.(interface{ IsTemp() (bool, error) }); ok {
			temporary = must(c.IsTemp())
		}
		for _, c := range children(n) {
			switch {
			case temporary || kind(n) == "CallStatement":
			case kind(c) == "PathExpression":
				w.table(c, (*sight)(nil).within())
				s.bind(n, c)
			case kind(c) == "FunctionDeclaration":
				w.function(child(c, "PathExpression"), true)
			}
		}
	}
	if _, ok := n.(*googlesql.ASTCreateViewStatement); ok {
		if target, query := path(child(n, "PathExpression")), child(n, "Query"); query != nil {
			if dataset, rest, ok := w.dataset(target); ok && len(rest) == 1 {
				w.out.view, w.out.query = dataset+"."+rest[0], location(query).In(w.SQL)
			}
		}
	}
	w.walk(n, s)
}

// bind makes the range variable of a table expression visible: its alias or the
// last part of its name.
func (s *sight) bind(n, name googlesql.ASTNode) {
	if alias := child(n, "Alias"); alias != nil {
		s.from[strings.ToLower(identifier(child(alias, "Identifier")))] = true
		return
	}
	if name == nil {
		return
	}
	if parts := path(name); len(parts) > 0 {
		s.from[strings.ToLower(parts[len(parts)-1])] = true
	}
}

func (w *qualifier) walk(n googlesql.ASTNode, s *sight) {
	switch kind(n) {
	case "Query":
		s = s.within()
		if with, ok := child(n, "WithClause").(*googlesql.ASTWithClause); ok {
			recursive := must(with.Recursive())
			entries := children(with)
			see := func(entry googlesql.ASTNode) {
				if aliased := child(entry, "AliasedQuery"); aliased != nil {
					entry = aliased
				}
				if name := child(entry, "Identifier"); name != nil {
					s.with[strings.ToLower(identifier(name))] = true
				}
			}
			for _, entry := range entries {
				if recursive {
					see(entry)
				}
			}
			for _, entry := range entries {
				w.walk(entry, s)
				see(entry)
			}
		}
		for _, c := range children(n) {
			if kind(c) != "WithClause" {
				w.walk(c, s)
			}
		}
		return
	case "Select", "UpdateStatement":
		// FROM comes last in neither, but all else sees what it binds.
		if kind(n) == "Select" {
			s = s.within()
		}
		from := child(n, "FromClause")
		if from != nil {
			w.walk(from, s)
		}
		for _, c := range children(n) {
			if kind(c) != "FromClause" {
				w.walk(c, s)
			}
		}
		return
	case "TablePathExpression":
		name := child(n, "PathExpression")
		if name != nil && !w.systemView(name, child(n, "Alias") != nil) {
			w.table(name, s)
		}
		for _, c := range children(n) {
			if kind(c) != "PathExpression" {
				w.walk(c, s)
			}
		}
		s.bind(n, name)
		return
	case "TableSubquery":
		for _, c := range children(n) {
			w.walk(c, s)
		}
		s.bind(n, nil)
		return
	case "TableClause", "CloneDataSource", "CopyDataSource", "ForeignKeyReference":
		if name := child(n, "PathExpression"); name != nil {
			w.table(name, s)
		}
		return
	case "TVF":
		w.function(child(n, "PathExpression"), false)
		for _, c := range children(n) {
			w.walk(c, s)
		}
		s.bind(n, nil)
		return
	case "FunctionCall":
		w.function(child(n, "PathExpression"), false)
	}
	for _, c := range children(n) {
		w.walk(c, s)
	}
}

// dataset is the inner name of the dataset in a name, and what follows it.
func (w *qualifier) dataset(p ast.Path) (name string, rest ast.Path, ok bool) {
	at := slices.IndexFunc(p, func(part string) bool { return strings.EqualFold(part, "INFORMATION_SCHEMA") })
	if at < 0 || at == len(p)-1 {
		at = len(p) - 1
	} else {
		w.out.system = true
	}
	switch {
	case at == 0 && w.Dataset != "":
		return w.names.inner(w.DatasetProject, w.Dataset), p, true
	case at == 1:
		return w.names.inner(w.Project, p[0]), p[1:], true
	case at == 2:
		return w.names.inner(p[0], p[1]), p[2:], true
	}
	return "", nil, false
}

// table completes the name of a table.
func (w *qualifier) table(n googlesql.ASTNode, s *sight) {
	p := path(n)
	name := ""
	switch {
	case len(p) == 1 && !s.hasWith(p[0]):
		name = p[0]
	case len(p) == 2 && strings.EqualFold(p[0], ast.SessionDataset):
		name = p[1]
	}
	if t := w.Temporary[name]; t != nil {
		w.replace(n, ast.Path{home, w.names.inner(t[0], t[1]), t[2]})
		return
	}
	if len(p) == 1 && (s.hasWith(p[0]) || s.hasFrom(p[0])) || len(p) > 1 && s.hasFrom(p[0]) {
		return // a WITH entry, or an array in a row of the query
	}
	dataset, rest, ok := w.dataset(p)
	if !ok {
		if len(p) == 1 && w.fail == nil {
			line, column := ast.Place(w.SQL, location(n).Start)
			w.fail = &ast.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("Table %q must be qualified with a dataset (e.g. dataset.table). at [%d:%d]", p[0], line, column)}
		}
		return
	}
	w.replace(n, append(ast.Path{home, dataset}, rest...))
}

// ownNames are the columns of a dataset's INFORMATION_SCHEMA views that hold the
// names of project and dataset.
var ownNames = map[string][2]string{
	"TABLES":        {"table_catalog", "table_schema"},
	"COLUMNS":       {"table_catalog", "table_schema"},
	"TABLE_OPTIONS": {"table_catalog", "table_schema"},
	"SCHEMATA":      {"catalog_name", "schema_name"},
}

// systemView puts the names that a dataset's INFORMATION_SCHEMA view is to show into
// its rows, so that conditions find them; it reports whether n is such a view.
func (w *qualifier) systemView(n googlesql.ASTNode, aliased bool) bool {
	dataset, rest, ok := w.dataset(path(n))
	if !ok || len(rest) != 2 || !strings.EqualFold(rest[0], "INFORMATION_SCHEMA") {
		return false
	}
	columns, ok := ownNames[strings.ToUpper(rest[1])]
	w.names.mu.Lock()
	shown := w.names.spelled[dataset]
	w.names.mu.Unlock()
	if !ok || strings.ContainsAny(shown.project+shown.id, `'\`) {
		return false
	}
	text := fmt.Sprintf("(SELECT * REPLACE ('%s' AS %s, '%s' AS %s) FROM %s)", shown.project, columns[0], shown.id, columns[1],
		identifierPath(append(ast.Path{home, dataset}, rest...)))
	if !aliased {
		text += " AS " + identifierPath(rest[1:])
	}
	w.out.changes = append(w.out.changes, change{location(n), text})
	return true
}

// function completes the name of a function that somebody made in a dataset;
// the built-in ones have families that look like datasets.
func (w *qualifier) function(n googlesql.ASTNode, declared bool) {
	if n == nil {
		return
	}
	p := path(n)
	project := w.Project
	switch len(p) {
	case 2:
	case 3:
		project = p[0]
	default:
		return
	}
	if dataset := p[len(p)-2]; declared || w.names.known(project, dataset) {
		w.replace(n, ast.Path{home, w.names.inner(project, dataset), p[len(p)-1]})
	}
}

func (w *qualifier) replace(n googlesql.ASTNode, p ast.Path) {
	w.out.changes = append(w.out.changes, change{location(n), identifierPath(p)})
}

// identifierPath is a name as SQL has it, each part in backticks.
func identifierPath(p ast.Path) string {
	parts := make([]string, len(p))
	for i, part := range p {
		parts[i] = "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(part) + "`"
	}
	return strings.Join(parts, ".")
}

// origin is where in the text before the changes a place of the text after them is.
func (q *qualified) origin(line, column int) (int, int) {
	at := ast.Offset(q.sql, line, column)
	shift := 0
	for _, c := range q.changes {
		start := c.Start + shift
		if at < start {
			break
		}
		if at < start+len(c.text) {
			return ast.Place(q.before, c.Start)
		}
		shift += len(c.text) - (c.End - c.Start)
	}
	return ast.Place(q.before, min(at-shift, len(q.before)))
}
