// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// permissions is what the guide tells: the permissions of each call, and the two
// roles.
type permissions struct {
	calls             map[string][]string
	planner, deployer []string
}

var quoted = regexp.MustCompile("[`\"]([A-Za-z]+\\.[A-Za-z.]+)[`\"]")

func names(text string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func readGuide(t *testing.T) permissions {
	t.Helper()
	page, err := os.ReadFile("../templates/guides/permissions.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	p := permissions{calls: map[string][]string{}}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			for _, call := range names(cells[1]) {
				p.calls[call] = names(cells[2])
			}
		}
	}
	role := func(id string) []string {
		_, rest, _ := strings.Cut(string(page), id)
		_, rest, _ = strings.Cut(rest, "permissions = [")
		list, _, _ := strings.Cut(rest, "]")
		return names(list)
	}
	p.planner, p.deployer = role(`"gcpmlPlanner"`), role(`"gcpmlDeployer"`)
	if len(p.calls) < 30 || len(p.planner) < 5 || len(p.deployer) < 25 {
		t.Fatalf("the guide has %d calls and roles of %d and %d permissions: it was not read", len(p.calls), len(p.planner), len(p.deployer))
	}
	return p
}

// restCalls are the methods of BigQuery by their requests.
var restCalls = []struct {
	request *regexp.Regexp
	call    string
}{
	{regexp.MustCompile(`^GET /bigquery/v2/projects/[^/]+/datasets/[^/]+$`), "bigquery.datasets.get"},
	{regexp.MustCompile(`^GET .*/models/[^/]+$`), "bigquery.models.get"},
	{regexp.MustCompile(`^PATCH .*/models/[^/]+$`), "bigquery.models.patch"},
	{regexp.MustCompile(`^DELETE .*/models/[^/]+$`), "bigquery.models.delete"},
	{regexp.MustCompile(`^POST .*/jobs$`), "bigquery.jobs.insert"},
	{regexp.MustCompile(`^GET .*/jobs$`), "bigquery.jobs.list"},
	{regexp.MustCompile(`^GET .*/jobs/[^/]+$`), "bigquery.jobs.get"},
	{regexp.MustCompile(`^GET .*/queries/[^/]+$`), "bigquery.jobs.getQueryResults"},
	{regexp.MustCompile(`^POST .*/jobs/[^/]+/cancel$`), "bigquery.jobs.cancel"},
	{regexp.MustCompile(`^GET /storage/v1/b/[^/]+/o$`), "storage.objects.list"},
	{regexp.MustCompile(`^GET /storage/v1/b/[^/]+/o/.+$`), "storage.objects.get"},
}

// nameOf is the name of a call in the guide, "Service.Method" or "bigquery.….…".
func nameOf(c acctest.Call) string {
	for _, r := range restCalls {
		if r.request.MatchString(c.Method) {
			return r.call
		}
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(c.Method, "/"), "/")
	return service[strings.LastIndex(service, ".")+1:] + "." + method
}

var reads = regexp.MustCompile(`\.(Get|List)[A-Z]\w*$|^(bigquery|storage)\.\w+\.(get|list)`)

// A plan reads and never writes, whatever it plans, and the permissions of the
// guide's first role are all it takes; those of the second one are enough for the
// whole life of the stack.
func TestAccPermissions(t *testing.T) {
	t.Parallel()
	guide := readGuide(t)
	tw, cli := start(t, stack("1"))
	from := len(tw.Calls(t))
	check := func(what string, role []string) (used []string) {
		t.Helper()
		calls := tw.Calls(t)
		if len(calls) == from {
			t.Errorf("%s: no call was made", what)
		}
		for _, c := range calls[from:] {
			name := nameOf(c)
			needs, known := guide.calls[name]
			if !known {
				t.Errorf("%s: the guide does not tell of %s (%s)", what, name, c.Method)
			}
			for _, p := range needs {
				if !slices.Contains(role, p) {
					t.Errorf("%s: %s takes %s, which the role does not have", what, name, p)
				}
			}
			used = append(used, needs...)
			if strings.HasPrefix(what, "plan") && !reads.MatchString(name) {
				t.Errorf("%s: %s is not a read", what, c.Method)
			}
		}
		from = len(calls)
		return used
	}

	cli.Must("plan", "-no-color")
	from = len(tw.Calls(t)) // of nothing, which may take no call
	cli.Must("apply", "-auto-approve", "-no-color")
	check("apply", guide.deployer)

	cli.Must("plan", "-no-color")
	planned := check("plan without a change", guide.planner)
	planner := func(what string) { planned = append(planned, check(what, guide.planner)...) }
	cli.Must("plan", "-refresh-only", "-no-color")
	planner("plan of a refresh")
	cli.Write(tw.Config(stack("2")))
	cli.Must("plan", "-no-color")
	planner("plan of a new release")
	cli.Must("plan", "-destroy", "-no-color")
	planner("plan of a destroy")
	if tw.Assumed(t, "project-in-names") == "id" {
		planned = append(planned, "resourcemanager.projects.get") // there is no number to resolve
	}
	for _, p := range guide.planner {
		if !slices.Contains(planned, p) {
			t.Errorf("the role that plans has %s, which no call took", p)
		}
	}

	cli.Must("apply", "-auto-approve", "-no-color")
	check("apply of a new release", guide.deployer)
	cli.Must("destroy", "-auto-approve", "-no-color")
	check("destroy", guide.deployer)
}

// The two roles hold what the table says, and nothing that it does not tell of.
func TestPermissionsGuide(t *testing.T) {
	guide := readGuide(t)
	told := map[string]bool{ // by CREATE MODEL and ML.PREDICT, in the text
		"bigquery.models.create": true, "bigquery.models.getData": true, "bigquery.models.updateData": true, "bigquery.connections.delegate": true,
	}
	for call, needs := range guide.calls {
		for _, p := range needs {
			told[p] = true
			if !slices.Contains(guide.deployer, p) {
				t.Errorf("%s takes %s, which the role that applies does not have", call, p)
			}
		}
	}
	for _, p := range slices.Concat(guide.planner, guide.deployer) {
		if !told[p] {
			t.Errorf("a role has %s, which the guide does not explain", p)
		}
	}
}
