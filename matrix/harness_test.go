// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// A lab is one emulator and one working directory. A cell has it for itself, and
// works in a project that no other cell has used.
type lab struct {
	tw  *acctest.Twin
	cli *acctest.CLI
}

// labs are as many as tests may run at a time (go test -parallel). Cells wait more
// than they compute: there may be several for each core.
type labs chan *lab

// newLab starts one. Its directory is initialised for good: cells only change the
// configuration.
func newLab(t *testing.T, flags ...string) *lab {
	t.Helper()
	tw := acctest.Start(t, append([]string{"--enable-faults"}, flags...)...)
	return &lab{tw: tw, cli: tw.NewCLI(t, tw.Config(""))}
}

func newLabs(t *testing.T, flags ...string) labs {
	t.Helper()
	count, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	pool := make(labs, count)
	for range count {
		pool <- newLab(t, flags...)
	}
	return pool
}

// cells run in parallel; the parent must not return its labs before they end, so
// they are grouped.
func (p labs) run(t *testing.T, name string, f func(*cell)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		l := <-p
		defer func() { p <- l }()
		c := newCell(t, l)
		f(c)
	})
}

// Secrets that must not get out: envCanary is the value of a write-only variable
// of the container, tokenCanary is what a server puts into its errors.
const (
	envCanary   = "canary-of-the-container-8c1f"
	tokenCanary = "canary-of-a-token-57e2"
)

var projects atomic.Int64

// A cell is one experiment.
type cell struct {
	t       *testing.T
	tw      *acctest.Twin
	cli     *acctest.CLI
	project string
	log     string
}

func newCell(t *testing.T, l *lab) *cell {
	t.Helper()
	c := &cell{t: t, tw: l.tw, project: fmt.Sprintf("demo-cell-%05dx", projects.Add(1))}
	c.log = filepath.Join(t.TempDir(), "trace.log")
	// The programs end after a second: collecting their garbage is a fifth of the work.
	c.cli = l.cli.For(t, "TF_LOG=TRACE", "TF_LOG_PATH="+c.log, "TF_VAR_secret="+envCanary, "GOGC=off", "GOMEMLIMIT=512MiB")
	for _, left := range []string{"terraform.tfstate", "terraform.tfstate.backup", ".terraform.tfstate.lock.info"} {
		if err := os.Remove(filepath.Join(c.cli.Dir(), left)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	c.sql("CREATE SCHEMA ds OPTIONS(location='US')")
	return c
}

// in is the same cell for a test within its test.
func (c *cell) in(t *testing.T) *cell {
	other := *c
	other.t, other.cli = t, c.cli.For(t)
	return &other
}

func (c *cell) sql(statement string) {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"query": statement, "useLegacySql": false, "location": "US"})
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.Post("http://"+c.tw.Host+"/bigquery/v2/projects/"+c.project+"/queries", "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s: %s", statement, resp.Status, text)
	}
}

// run runs one command of the CLI and looks for secrets in all that it left.
func (c *cell) run(args ...string) (output string, exit int) {
	c.t.Helper()
	return c.wait(c.cli.Start(args...))
}

func (c *cell) wait(r *acctest.Running) (output string, exit int) {
	c.t.Helper()
	output, exit = r.Wait()
	c.scan(output)
	if strings.Contains(output, "panic:") || strings.Contains(output, "Provider produced") || strings.Contains(output, "bug in the provider") {
		c.t.Errorf("the provider broke its contract with Terraform:\n%s", output)
	}
	return output, exit
}

func (c *cell) must(args ...string) string {
	c.t.Helper()
	output, exit := c.run(args...)
	if exit != 0 {
		c.t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), exit, output)
	}
	return output
}

// scan looks for secrets, and empties the log for the next command.
func (c *cell) scan(output string) {
	c.t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
		return string(b)
	}
	kept := ""
	for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup", planFile} {
		kept += read(filepath.Join(c.cli.Dir(), name))
	}
	log := read(c.log)
	if strings.Contains(log, "WARNING: DATA RACE") { // if the provider was built to notice
		c.t.Errorf("a data race:\n%s", log[strings.Index(log, "WARNING: DATA RACE"):][:4000])
	}
	_ = os.Remove(c.log)
	for place, text := range map[string]string{"output": output, "log": log, "state": kept} {
		total.artefacts.Add(1)
		for _, secret := range []string{envCanary, tokenCanary} {
			if !strings.Contains(text, secret) {
				continue
			}
			total.canaries.Add(1)
			at := strings.Index(text, secret)
			c.t.Errorf("the secret %s is in the %s: …%s…", secret, place, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

const planFile = "tfplan"

// The commands. A plan goes by way of a file, so that this is looked at, too.
func (c *cell) apply() (string, int) {
	c.t.Helper()
	return c.run("apply", "-auto-approve", "-no-color")
}

func (c *cell) destroy() (string, int) {
	c.t.Helper()
	return c.run("destroy", "-auto-approve", "-no-color")
}

func (c *cell) plan() (string, int) {
	c.t.Helper()
	return c.run("plan", "-detailed-exitcode", "-no-color", "-out="+planFile)
}

// write sets the configuration.
func (c *cell) write(s shape, only ...string) {
	c.t.Helper()
	c.cli.Write(fmt.Sprintf("provider \"gcpml\" {\n  project = %q\n  region = %q\n  emulator_host = %q\n  ownership_id = \"matrix\"\n}\n\n%s",
		c.project, acctest.Region, c.tw.Host, s.hcl(only...)))
}

// A shape is a configuration of all that gcpml manages; release is in the
// content of the model, tag in what changes in place.
type shape struct {
	release  string
	tag      string
	replicas int
	suffix   string // of the ids: another one is a replacement of everything
	hurry    bool   // timeouts are short
	thrifty  bool   // no earlier versions are kept
}

var shapeOne = shape{release: "1", tag: "one", replicas: 1}

// hcl writes all four resources, or only those named: m, e, c and r.
func (s shape) hcl(only ...string) string {
	text := `
variable "secret" {
  sensitive = true
  ephemeral = true
}
`
	for _, r := range []struct{ name, hcl string }{{"m", modelHCL}, {"e", endpointHCL}, {"c", connectionHCL}, {"r", remoteModelHCL}} {
		if len(only) == 0 || slices.Contains(only, r.name) {
			text += r.hcl
		}
	}
	timeouts := ""
	if s.hurry {
		timeouts = fmt.Sprintf("timeouts {\n    create = %[1]q\n    update = %[1]q\n    delete = %[1]q\n  }", hurriedTimeout)
	}
	versions := ""
	if s.thrifty {
		versions = "keep_versions = 0"
	}
	return strings.NewReplacer("VERSIONS", versions, "TIMEOUTS", timeouts, "RELEASE", s.release, "TAG", s.tag, "REPLICAS", strconv.Itoa(s.replicas), "SUFFIX", s.suffix, "_HYPHEN", strings.ReplaceAll(s.suffix, "_", "-")).Replace(text)
}

// hurriedTimeout is enough for all that is not held up, also on a busy machine.
const hurriedTimeout = "6s"

const (
	modelHCL = `
resource "gcpml_vertex_model_upload" "m" {
  display_name = "matrix"
  model_id     = "matrixSUFFIX"
  description  = "TAG"
  artifact_uri = "gs://bucket/model/"
  labels       = { tag = "TAG" }
  VERSIONS
  container_spec = {
    image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    env       = [{ name = "VERSION", value = "RELEASE" }, { name = "SECRET_OF_THE_CONTAINER", value_wo = var.secret, value_wo_version = RELEASE }]
  }
  TIMEOUTS
}
`
	endpointHCL = `
resource "gcpml_vertex_endpoint_deployment" "e" {
  display_name = "matrix"
  endpoint_id  = "matrix_HYPHEN"
  description  = "TAG"
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.m.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = REPLICAS }
    }
  }
  TIMEOUTS
}
`
	connectionHCL = `
resource "gcpml_bq_connection" "c" {
  location      = "US"
  connection_id = "matrixSUFFIX"
  description   = "TAG"
  roles         = ["roles/aiplatform.user"]
}
`
	remoteModelHCL = `
resource "gcpml_bq_remote_model" "r" {
  dataset_id      = "ds"
  model_id        = "matrixSUFFIX"
  description     = "TAG"
  connection_name = gcpml_bq_connection.c.id
  endpoint        = gcpml_vertex_endpoint_deployment.e.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}
`
)

// managed are the sections of the inventory that hold what the provider makes.
var managed = []string{"models", "endpoints", "connections", "iam_bindings", "remote_models"}

// inventory is what exists in the project, one object a line, without what no two
// runs have in common.
func (c *cell) inventory() string {
	c.t.Helper()
	all := c.tw.Inventory(c.t)
	var lines []string
	for _, section := range managed {
		for _, raw := range all[section] {
			if !bytes.Contains(raw, []byte(c.project)) {
				continue
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				c.t.Fatal(err)
			}
			text := strings.ReplaceAll(compact.String(), c.project, "PROJECT")
			for _, r := range random {
				text = r.pattern.ReplaceAllString(text, r.with)
			}
			lines = append(lines, section+" "+text)
		}
	}
	slices.Sort(lines)
	return numbered(strings.Join(lines, "\n"))
}

var versionID = regexp.MustCompile(`"(model_)?version_id":"(\d+)"`)

// numbered renames the versions of a model to first, second, …: an upload that
// failed uses up a number.
func numbered(inventory string) string {
	var ids []int
	for _, m := range versionID.FindAllStringSubmatch(inventory, -1) {
		if id, err := strconv.Atoi(m[2]); err == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return versionID.ReplaceAllStringFunc(inventory, func(field string) string {
		m := versionID.FindStringSubmatch(field)
		id, _ := strconv.Atoi(m[2])
		return fmt.Sprintf(`"%sversion_id":"no. %d"`, m[1], 1+slices.Index(ids, id))
	})
}

var random = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"gcpml-(incarnation|spec)":"[^"]*"`), `"gcpml-$1":""`}, // the hash has the project in it
	{regexp.MustCompile(`"gcpml-[0-9a-f]{20}"`), `"gcpml-CONTENT"`},             // the alias by which a version is known by its content
	{regexp.MustCompile(`bqcx-\d+-[a-z0-9]+@`), `bqcx@`},
	{regexp.MustCompile(`"\d{10}"`), `"DEPLOYED"`},
	{regexp.MustCompile(`projects/\d+/`), `projects/NUMBER/`},
}

// checkOnce fails when anything was made twice.
func (c *cell) checkOnce() {
	c.t.Helper()
	for _, d := range c.tw.Counters(c.t).Duplicates() {
		if strings.Contains(d, c.project) {
			total.duplicates.Add(1)
			c.t.Errorf("made twice: %s", d)
		}
	}
}

// converge applies without disturbance and checks that all is as if there had
// been none: the inventory, an empty plan, and nothing twice.
func (c *cell) converge(want string) {
	c.t.Helper()
	c.checkConverged(want, c.must("apply", "-auto-approve", "-no-color"))
}

// checkConverged checks the same after an apply that said this.
func (c *cell) checkConverged(want, out string) {
	c.t.Helper()
	if got := c.inventory(); got != want {
		total.orphans.Add(1)
		c.t.Errorf("this is not what an undisturbed apply reaches:\n%s\nwant:\n%s\nthe last apply said:\n%s", got, want, out)
	}
	if out, exit := c.plan(); exit != 0 {
		c.t.Errorf("the plan after an apply is not empty (exit code %d):\n%s", exit, out)
	}
	c.checkOnce()
}

// end destroys and checks that nothing is left.
func (c *cell) end() {
	c.t.Helper()
	c.checkNothing(c.must("destroy", "-auto-approve", "-no-color"))
}

// checkNothing checks that nothing is left after a destroy that said this.
func (c *cell) checkNothing(out string) {
	c.t.Helper()
	if left := c.inventory(); left != "" {
		total.orphans.Add(int64(strings.Count(left, "\n") + 1))
		c.t.Errorf("destroy left:\n%s\nthe last one said:\n%s", left, out)
	}
	c.checkOnce()
}

// undisturbed is what the inventory is after these shapes were applied one after
// the other.
var undisturbed = struct {
	sync.Mutex
	known map[string]string
}{known: map[string]string{}}

func (c *cell) undisturbed(shapes ...shape) string {
	c.t.Helper()
	undisturbed.Lock()
	defer undisturbed.Unlock()
	key := fmt.Sprint(shapes)
	if got, ok := undisturbed.known[key]; ok {
		return got
	}
	other := newCell(c.t, &lab{c.tw, c.cli})
	for _, s := range shapes {
		other.write(s)
		other.must("apply", "-auto-approve", "-no-color")
	}
	undisturbed.known[key] = other.inventory()
	if len(shapes) > 0 {
		other.end()
	}
	return undisturbed.known[key]
}
