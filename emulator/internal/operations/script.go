// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/glob"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// Result is how a scripted operation ends.
type Result string

// The results.
const (
	AsUsual  Result = ""          // with what the work comes to
	Never    Result = "never"     // not at all, unless it is cancelled
	Error    Result = "error"     // with Script.Status
	Empty    Result = "empty"     // done, with neither a response nor an error
	NoEffect Result = "no_effect" // with a success, though nothing was done
)

// Script says how the operations that it matches go. Of several the first that has
// not had its fill takes an operation.
type Script struct {
	ID string `json:"id"`
	// Method matches the full gRPC method that starts the operation, Name the
	// resource that it is about, with the project's id or number; "*" stands for any
	// characters, and no pattern for any. Deleting a version is DeleteModel here.
	Method string `json:"method,omitempty"`
	Name   string `json:"name,omitempty"`
	// Times is how many operations are scripted: 1 by default, -1 for all.
	Times int `json:"times"`
	// Delay is added to the time that the operation takes, on the emulator's clock.
	Delay  fault.Duration `json:"delay,omitempty"`
	Result Result         `json:"result,omitempty"`
	Status *fault.Status  `json:"status,omitempty"`
	// Phase says for never, error and empty whether the work is done all the same,
	// after_effect, which is the default for empty, or not, before.
	Phase fault.Phase `json:"phase,omitempty"`
	// OpGet is what polling an operation answers: one HTTP status or canonical code
	// for each GetOperation, "200" for what there is. After the last it is that.
	OpGet []string `json:"op_get,omitempty"`
	// ForgetAfter is the time after its end when an operation is no longer found.
	ForgetAfter fault.Duration `json:"forget_after,omitempty"`

	gets []codes.Code
}

// scripted is a script as it is reported.
type scripted struct {
	Script
	Count     int  `json:"count"`
	Fired     bool `json:"fired"`
	Remaining int  `json:"remaining"`
	// Operations are the names of those that it took.
	Operations []string `json:"operations"`
}

// kinds are the operations there are, by their metadata: the method that starts
// one and the type of its response. The delete methods have the same metadata.
var kinds = map[string]struct {
	method   string
	response proto.Message
}{
	"UploadModelOperationMetadata":                  {"ModelService/UploadModel", &aiplatformpb.UploadModelResponse{}},
	"UpdateEndpointOperationMetadata":               {"EndpointService/UpdateEndpointLongRunning", &aiplatformpb.Endpoint{}},
	"CreateEndpointOperationMetadata":               {"EndpointService/CreateEndpoint", &aiplatformpb.Endpoint{}},
	"DeployModelOperationMetadata":                  {"EndpointService/DeployModel", &aiplatformpb.DeployModelResponse{}},
	"MutateDeployedModelOperationMetadata":          {"EndpointService/MutateDeployedModel", &aiplatformpb.MutateDeployedModelResponse{}},
	"UndeployModelOperationMetadata":                {"EndpointService/UndeployModel", &aiplatformpb.UndeployModelResponse{}},
	"DeleteOperationMetadata":                       {deleteModel, &emptypb.Empty{}},
	"CreateDeploymentResourcePoolOperationMetadata": {"DeploymentResourcePoolService/CreateDeploymentResourcePool", &aiplatformpb.DeploymentResourcePool{}},
}

const (
	services       = "/google.cloud.aiplatform.v1."
	deleteModel    = "ModelService/DeleteModel"
	deleteEndpoint = "EndpointService/DeleteEndpoint"
	deletePool     = "DeploymentResourcePoolService/DeleteDeploymentResourcePool"
)

func kindOf(spec Spec) (method string, response proto.Message) {
	kind := kinds[string(spec.Metadata.ProtoReflect().Descriptor().Name())]
	method = kind.method
	if method == deleteModel && strings.Contains(spec.Parent, "/endpoints/") {
		method = deleteEndpoint
	}
	if method == deleteModel && strings.Contains(spec.Parent, "/deploymentResourcePools/") {
		method = deletePool
	}
	return services + method, kind.response
}

// complete fills the defaults in and refuses what makes no sense.
func (s *Script) complete() error {
	if s.Times == 0 {
		s.Times = 1
	}
	if s.Phase == "" {
		s.Phase = fault.Before
		if s.Result == Empty {
			s.Phase = fault.AfterEffect
		}
	}
	known := s.Method == "" || glob.Overlap(s.Method, services+deleteEndpoint) || glob.Overlap(s.Method, services+deletePool)
	for _, kind := range kinds {
		known = known || glob.Overlap(s.Method, services+kind.method)
	}
	switch {
	case !known:
		return fmt.Errorf(`"method" %q starts no operation: use one such as "*/DeployModel"`, s.Method)
	case s.Times < fault.Always:
		return fmt.Errorf(`"times" is %d: want a number of operations, or -1 for all`, s.Times)
	case !slices.Contains([]Result{AsUsual, Never, Error, Empty, NoEffect}, s.Result):
		return fmt.Errorf(`"result" %q is not known: use never, error, empty or no_effect`, s.Result)
	case s.Phase != fault.Before && s.Phase != fault.AfterEffect:
		return fmt.Errorf(`"phase" %q is not known: use before or after_effect`, s.Phase)
	case s.Result == NoEffect && s.Phase != fault.Before:
		return errors.New(`"result" "no_effect" has no effect: its phase is before`)
	case (s.Result == Error) != (s.Status != nil):
		return errors.New(`"status" belongs to the result "error", which needs it`)
	}
	for _, answer := range s.OpGet {
		code, err := codeOf(answer)
		if err != nil {
			return err
		}
		s.gets = append(s.gets, code)
	}
	if s.Status != nil {
		return s.Status.Complete()
	}
	return nil
}

// codeOf reads "404" or "NOT_FOUND".
func codeOf(answer string) (codes.Code, error) {
	if n, err := strconv.Atoi(answer); err == nil {
		if n == http.StatusOK {
			return codes.OK, nil
		}
		st := fault.Status{HTTPStatus: n}
		if err := st.Complete(); err != nil {
			return 0, fmt.Errorf(`"op_get": %w`, err)
		}
		answer = st.Code
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(strconv.Quote(answer))); err != nil {
		return 0, fmt.Errorf(`"op_get": %w`, err)
	}
	return code, nil
}

// take returns the script for an operation, if there is one; m.mu is held.
func (m *Manager) take(op *operation) *Script {
	method, _ := kindOf(op.spec)
	for _, s := range m.scripts {
		if s.Times != fault.Always && s.Count == s.Times ||
			s.Method != "" && !glob.Match(s.Method, method) ||
			s.Name != "" && !glob.Match(s.Name, op.spec.Parent) && !glob.Match(s.Name, m.names.ByID(op.spec.Parent)) {
			continue
		}
		s.Count++
		s.Operations = append(s.Operations, m.names.Show(op.name))
		return &s.Script
	}
	return nil
}

var (
	errEmpty    = errors.New("done without a result")
	errNoEffect = errors.New("done without an effect")
)

// act is what a script makes of the work when its time has come: an error ends it.
func (s *Script) act(ctx context.Context, when fault.Phase) error {
	if s == nil || s.Phase != when {
		return nil
	}
	switch s.Result {
	case Never:
		<-ctx.Done()
		return ctx.Err()
	case Error:
		return s.Status.Err()
	case Empty:
		return errEmpty
	case NoEffect:
		return errNoEffect
	}
	return nil
}

// polled is the error that the next GetOperation answers, if any; Manager.mu is
// held.
func (op *operation) polled() error {
	if len(op.gets) == 0 {
		return nil
	}
	code := op.gets[0]
	op.gets = op.gets[1:]
	if code == codes.OK {
		return nil
	}
	return status.Errorf(code, "A script answers %s when this operation is polled.", code)
}

// forgotten reports whether a script says so; m.mu is held.
func (m *Manager) forgotten(op *operation) bool {
	return op.script != nil && op.script.ForgetAfter > 0 && !op.ended.IsZero() &&
		m.clock.Now().Sub(op.ended) >= time.Duration(op.script.ForgetAfter)
}

// Scripts is the control surface: POST sets a script, GET lists them, DELETE (with
// ?id=) removes one or all. Operations that a script has taken keep to it.
func (m *Manager) Scripts(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		var s Script
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&s)
		if err == nil {
			err = s.complete()
		}
		if err != nil {
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
			return
		}
		set, ok := m.add(s)
		if !ok {
			inventory.WriteError(w, http.StatusConflict, "a script with this id is set already")
			return
		}
		inventory.WriteJSON(w, http.StatusCreated, set)
	case http.MethodGet:
		inventory.WriteJSON(w, http.StatusOK, map[string]any{"operations": m.reports()})
	case http.MethodDelete:
		if id := r.URL.Query().Get("id"); !m.remove(id) && id != "" {
			inventory.WriteError(w, http.StatusNotFound, "no such script")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		inventory.WriteError(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}

func (m *Manager) add(s Script) (scripted, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastScript++
	if s.ID == "" {
		s.ID = strconv.Itoa(m.lastScript)
	}
	if slices.ContainsFunc(m.scripts, func(o *scripted) bool { return o.ID == s.ID }) {
		return scripted{}, false
	}
	set := &scripted{Script: s, Operations: []string{}}
	m.scripts = append(m.scripts, set)
	return set.report(), true
}

func (m *Manager) remove(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.scripts)
	m.scripts = slices.DeleteFunc(m.scripts, func(s *scripted) bool { return id == "" || s.ID == id })
	return len(m.scripts) < before
}

func (m *Manager) reports() []scripted {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []scripted{}
	for _, s := range m.scripts {
		out = append(out, s.report())
	}
	return out
}

func (s *scripted) report() scripted {
	out := *s
	out.Operations = slices.Clone(s.Operations)
	out.Fired = s.Count > 0
	out.Remaining = s.Times - s.Count
	if s.Times == fault.Always {
		out.Remaining = fault.Always
	}
	return out
}
