// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// EndpointURL is the value of the ENDPOINT option for an endpoint in a universe; "" is
// Google's public one.
func EndpointURL(universe string, n gcp.Name) string {
	n = apiName(n)
	return gcp.VertexURL(universe, n.Location) + n.String()
}

var (
	projectGrammar = regexp.MustCompile(`^(?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*$`)
	datasetGrammar = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	localGrammar   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	idGrammar      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)
)

type part struct {
	what, text string
	grammar    *regexp.Regexp
}

func check(parts ...part) error {
	for _, p := range parts {
		if !p.grammar.MatchString(p.text) {
			return fmt.Errorf("%s %q is not valid", p.what, p.text)
		}
	}
	return nil
}

func (m ModelSpec) checkName() error {
	return check(part{"project", m.Name.Project, projectGrammar}, part{"dataset_id", m.Name.Dataset, datasetGrammar}, part{"model_id", m.Name.ID, datasetGrammar})
}

// CreateSQL renders the DDL statement; replace tells whether a model of that name
// may exist.
func (m ModelSpec) CreateSQL(replace bool) (string, error) {
	if err := m.checkName(); err != nil {
		return "", err
	}
	var s Statement
	s.Fixed("CREATE ")
	if replace {
		s.Fixed("OR REPLACE ")
	}
	s.Fixed("MODEL ").Identifier(path(m.Name.Project, m.Name.Dataset, m.Name.ID))
	if err := m.columns(&s); err != nil {
		return "", err
	}
	s.Fixed("\nREMOTE WITH CONNECTION ")
	if (m.Connection == gcp.Name{}) {
		s.Fixed("DEFAULT")
	} else {
		c := apiName(m.Connection)
		if err := check(part{"project of the connection", c.Project, projectGrammar}, part{"location of the connection", c.Location, localGrammar}, part{"id of the connection", c.ID, idGrammar}); err != nil {
			return "", err
		}
		s.Identifier(path(c.Project, c.Location, c.ID))
	}
	s.Fixed("\nOPTIONS (")
	o := options{s: &s, universe: m.Universe}
	if err := m.options(&o); err != nil {
		return "", err
	}
	if m.KMSKey != "" {
		o.text("KMS_KEY_NAME", m.KMSKey)
	}
	s.Fixed(")")
	return s.Finish()
}

// columns renders INPUT and OUTPUT, which only models over an endpoint of one's own have.
func (m ModelSpec) columns(s *Statement) error {
	switch {
	case (len(m.Input) == 0) != (len(m.Output) == 0):
		return errors.New("a remote model has both input and output, or neither")
	case len(m.Input) == 0:
		return nil
	case !m.Custom():
		return errors.New("only a remote model over an endpoint of your own has input and output")
	}
	for _, list := range []struct {
		keyword string
		columns []Column
	}{{"\nINPUT (", m.Input}, {"\nOUTPUT (", m.Output}} {
		columns, err := normalColumns(list.columns)
		if err != nil {
			return err
		}
		s.Fixed(list.keyword)
		for i, c := range columns {
			if i > 0 {
				s.Fixed(", ")
			}
			s.Identifier(c.Name).Fixed(" ").Fixed(c.Type) // one of a closed list
		}
		s.Fixed(")")
	}
	return nil
}

// AlterSQL renders what can be changed about an open model without deploying it anew;
// nil and 0 leave out.
func (m ModelSpec) AlterSQL(deploy *bool, idleTTL time.Duration) (string, error) {
	if err := m.checkName(); err != nil {
		return "", err
	}
	var s Statement
	s.Fixed("ALTER MODEL ").Identifier(path(m.Name.Project, m.Name.Dataset, m.Name.ID)).Fixed("\nSET OPTIONS (")
	o := options{s: &s}
	if deploy != nil {
		o.fixed("DEPLOY_MODEL", strings.ToUpper(strconv.FormatBool(*deploy)))
	}
	o.interval("ENDPOINT_IDLE_TTL", idleTTL)
	s.Fixed(")")
	return s.Finish()
}

func path(parts ...string) string { return strings.Join(parts, ".") }

// options writes the entries of an OPTIONS list. Zero values are left out.
type options struct {
	s        *Statement
	some     bool
	universe string
}

func (o *options) name(name string) *Statement {
	if o.some {
		o.s.Fixed(", ")
	}
	o.some = true
	return o.s.Fixed(name + " = ")
}

func (o *options) text(name, value string) {
	if value != "" {
		o.name(name).Literal(value)
	}
}

// fixed writes a value that is a constant of the program, or a number.
func (o *options) fixed(name, sql string) { o.name(name).Fixed(sql) }

func (o *options) number(name string, n int64) {
	if n != 0 {
		o.fixed(name, strconv.FormatInt(n, 10))
	}
}

func (o *options) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name).Fixed("[")
	for i, v := range values {
		if i > 0 {
			o.s.Fixed(", ")
		}
		o.s.Literal(v)
	}
	o.s.Fixed("]")
}

func (o *options) interval(name string, d time.Duration) {
	if d != 0 {
		o.fixed(name, "INTERVAL "+strconv.FormatInt(int64(d/time.Minute), 10)+" MINUTE")
	}
}

// options writes the OPTIONS that say what the model calls.
func (t Target) options(o *options) error {
	switch {
	case t.Custom():
		e := apiName(t.Endpoint)
		o.text("ENDPOINT", EndpointURL(o.universe, e))
		return check(part{"project of the endpoint", e.Project, projectGrammar}, part{"location of the endpoint", e.Location, localGrammar}, part{"id of the endpoint", e.ID, idGrammar})
	case t.Hosted != "":
		o.text("ENDPOINT", hostedURL(o.universe, t.Hosted))
	case t.Service != nil:
		o.text("REMOTE_SERVICE_TYPE", t.Service.Type)
		o.text("DOCUMENT_PROCESSOR", t.Service.DocumentProcessor)
		o.text("SPEECH_RECOGNIZER", t.Service.SpeechRecognizer)
	case t.Open != nil:
		m := t.Open
		o.text("HUGGING_FACE_MODEL_ID", m.HuggingFaceID)
		o.text("MODEL_GARDEN_MODEL_NAME", m.ModelGarden)
		o.text("HUGGING_FACE_TOKEN", m.Token)
		o.text("MACHINE_TYPE", m.MachineType)
		o.number("MIN_REPLICA_COUNT", m.MinReplicas)
		o.number("MAX_REPLICA_COUNT", m.MaxReplicas)
		o.text("RESERVATION_AFFINITY_TYPE", m.Reservation.Type)
		o.text("RESERVATION_AFFINITY_KEY", m.Reservation.Key)
		o.texts("RESERVATION_AFFINITY_VALUES", m.Reservation.Values)
		o.interval("ENDPOINT_IDLE_TTL", m.IdleTTL)
	}
	if !o.some {
		return errors.New("a remote model needs an endpoint, a service or an open model")
	}
	return nil
}
