// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// Effects are the changes of one object that took effect since the start.
type Effects struct {
	Creates int `json:"creates"`
	Updates int `json:"updates"`
	Deletes int `json:"deletes"`
}

// Executions are the ends of the jobs of one statement.
type Executions struct {
	Successes int `json:"successes"`
	Failures  int `json:"failures"`
}

// Counters counts effects, not calls: what a call was answered, and whether it
// was answered at all, does not matter. Two creates of one object without a delete
// between them are a duplicate. It is safe for concurrent use.
type Counters struct {
	byID func(name string) string

	mu         sync.Mutex
	objects    map[string]*Effects
	statements map[string]*Executions
	// Long-running operations, by the end of their names: who asked for what, and
	// what came of it. Each is kept until the other is known.
	asked map[string]proto.Message
	ended map[string]result
}

type result struct {
	response proto.Message
	err      error
}

// NewCounters returns counters at zero. byID spells a resource name with the id
// of its project.
func NewCounters(byID func(name string) string) *Counters {
	return &Counters{
		byID: byID, objects: map[string]*Effects{}, statements: map[string]*Executions{},
		asked: map[string]proto.Message{}, ended: map[string]result{},
	}
}

// Unary is the gRPC interceptor that counts; it goes inside everything that may
// change the answer of a call.
func (c *Counters) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	request, ok := req.(proto.Message)
	if err != nil || !ok || !changes(request) {
		return res, err
	}
	response, _ := res.(proto.Message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if op, ok := response.(*longrunningpb.Operation); ok {
		c.asked[path.Base(op.GetName())] = request
		c.settle(path.Base(op.GetName()))
	} else {
		c.count(request, response)
	}
	return res, nil
}

// OperationEnded tells the outcome of a long-running operation.
func (c *Counters) OperationEnded(name string, response proto.Message, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[path.Base(name)] = result{response, err}
	c.settle(path.Base(name))
}

// settle counts an operation of which both ends are known; c.mu is held.
func (c *Counters) settle(id string) {
	request, asked := c.asked[id]
	end, ended := c.ended[id]
	if !asked || !ended {
		return
	}
	delete(c.asked, id)
	delete(c.ended, id)
	if end.err == nil {
		c.count(request, end.response)
	}
}

// changes reports whether count knows a request.
func changes(request proto.Message) bool {
	switch request.(type) {
	case *aiplatformpb.UploadModelRequest, *aiplatformpb.UpdateModelRequest, *aiplatformpb.MergeVersionAliasesRequest,
		*aiplatformpb.DeleteModelRequest, *aiplatformpb.DeleteModelVersionRequest,
		*aiplatformpb.CreateEndpointRequest, *aiplatformpb.UpdateEndpointRequest, *aiplatformpb.DeleteEndpointRequest,
		*aiplatformpb.DeployModelRequest, *aiplatformpb.MutateDeployedModelRequest, *aiplatformpb.UndeployModelRequest,
		*connectionpb.CreateConnectionRequest, *connectionpb.UpdateConnectionRequest, *connectionpb.DeleteConnectionRequest,
		*iampb.SetIamPolicyRequest:
		return true
	}
	return false
}

// count counts the effect of a call; c.mu is held.
func (c *Counters) count(request, response proto.Message) {
	switch r := request.(type) {
	case *aiplatformpb.UploadModelRequest:
		model, _ := response.(*aiplatformpb.UploadModelResponse)
		c.object(model.GetModel()+"@"+model.GetModelVersionId()).Creates++
		if r.GetParentModel() == "" {
			c.object(model.GetModel()).Creates++
		} else {
			c.object(model.GetModel()).Updates++
		}
	case *aiplatformpb.UpdateModelRequest:
		c.object(r.GetModel().GetName()).Updates++
	case *aiplatformpb.MergeVersionAliasesRequest:
		c.object(r.GetName()).Updates++
	case *aiplatformpb.DeleteModelRequest:
		c.object(r.GetName()).Deletes++
		for name, e := range c.objects { // its versions go with it
			if strings.HasPrefix(name, c.byID(r.GetName())+"@") && e.Creates > e.Deletes {
				e.Deletes++
			}
		}
	case *aiplatformpb.DeleteModelVersionRequest:
		c.object(r.GetName()).Deletes++
	case *aiplatformpb.CreateEndpointRequest:
		endpoint, _ := response.(*aiplatformpb.Endpoint)
		c.object(endpoint.GetName()).Creates++
	case *aiplatformpb.UpdateEndpointRequest:
		c.object(r.GetEndpoint().GetName()).Updates++
	case *aiplatformpb.DeleteEndpointRequest:
		c.object(r.GetName()).Deletes++
	case *aiplatformpb.DeployModelRequest:
		deployed, _ := response.(*aiplatformpb.DeployModelResponse)
		c.object(r.GetEndpoint()+"/deployedModels/"+deployed.GetDeployedModel().GetId()).Creates++
	case *aiplatformpb.MutateDeployedModelRequest:
		c.object(r.GetEndpoint()+"/deployedModels/"+r.GetDeployedModel().GetId()).Updates++
	case *aiplatformpb.UndeployModelRequest:
		c.object(r.GetEndpoint()+"/deployedModels/"+r.GetDeployedModelId()).Deletes++
	case *connectionpb.CreateConnectionRequest:
		connection, _ := response.(*connectionpb.Connection)
		c.object(connection.GetName()).Creates++
	case *connectionpb.UpdateConnectionRequest:
		c.object(r.GetName()).Updates++
	case *connectionpb.DeleteConnectionRequest:
		c.object(r.GetName()).Deletes++
	case *iampb.SetIamPolicyRequest:
		c.object(r.GetResource()+":iamPolicy").Updates++
	}
}

// object is the entry of an object; c.mu is held. Connections are found in
// locations of either case.
func (c *Counters) object(name string) *Effects {
	name = c.byID(name)
	if parts := strings.SplitN(name, "/", 5); len(parts) == 5 && strings.HasPrefix(parts[4], "connections/") {
		parts[3] = strings.ToLower(parts[3])
		name = strings.Join(parts, "/")
	}
	e, ok := c.objects[name]
	if !ok {
		e = new(Effects)
		c.objects[name] = e
	}
	return e
}

// Created counts the creation of an object that no gRPC call asked for.
func (c *Counters) Created(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.object(name).Creates++
}

// Updated counts a change of such an object.
func (c *Counters) Updated(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.object(name).Updates++
}

// Deleted counts its deletion.
func (c *Counters) Deleted(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.object(name).Deletes++
}

// Executed counts the end of a job that ran a statement.
func (c *Counters) Executed(sql string, ok bool) {
	hash := StatementHash(sql)
	c.mu.Lock()
	defer c.mu.Unlock()
	e, known := c.statements[hash]
	if !known {
		e = new(Executions)
		c.statements[hash] = e
	}
	if ok {
		e.Successes++
	} else {
		e.Failures++
	}
}

// StatementHash names a statement without telling it: SHA-256 of its text without
// the white space around it, in hexadecimal.
func StatementHash(sql string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(sql)))
	return hex.EncodeToString(sum[:])
}

// Objects returns a copy of the effects of every object.
func (c *Counters) Objects() map[string]Effects {
	c.mu.Lock()
	defer c.mu.Unlock()
	return values(c.objects)
}

// Statements returns a copy of the executions of every statement, by its hash.
func (c *Counters) Statements() map[string]Executions {
	c.mu.Lock()
	defer c.mu.Unlock()
	return values(c.statements)
}

func values[V any](m map[string]*V) map[string]V {
	out := make(map[string]V, len(m))
	for k := range maps.Keys(m) {
		out[k] = *m[k]
	}
	return out
}

// ServeHTTP answers GET with {"objects": {name: …}, "statements": {hash: …}}.
func (c *Counters) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	inventory.WriteJSON(w, http.StatusOK, map[string]any{"objects": c.Objects(), "statements": c.Statements()})
}
