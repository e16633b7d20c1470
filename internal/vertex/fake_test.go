// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// fake is as much of Vertex AI as the tests of faults need: the emulator cannot
// lose answers. It obeys the preconditions of the API's documentation.
type fake struct {
	pb.UnimplementedModelServiceServer
	pb.UnimplementedEndpointServiceServer
	pb.UnimplementedPredictionServiceServer
	longrunningpb.UnimplementedOperationsServer

	t  *testing.T
	mu sync.Mutex
	// versions of each model, oldest first; labels of the model by its name.
	versions  map[string][]*pb.Model
	labels    map[string]map[string]string
	endpoints map[string]*pb.Endpoint
	ops       map[string]*pendingOp
	etag      int
	// polls is how often an operation is polled before it has its effect.
	polls int
	// effects counts what took effect, calls what was called, by method.
	effects, calls map[string]int
	// before refuses the nth call of a method, without effect; after loses its answer.
	before, after func(method string, n int) error
	// lag makes DeleteModel refuse this often.
	lag int
	// predict is what a version of a model answers.
	predict func(version string, instance any) (any, error)
	// lies are methods that report success without effect.
	lies map[string]bool
	// hidden is an endpoint that the caller may not see.
	hidden string
}

type pendingOp struct {
	op     *longrunningpb.Operation
	polls  int
	effect func() (proto.Message, error)
}

// newFake starts the fake, and a service that calls it and is impatient.
func newFake(t *testing.T) (*fake, *Service) {
	t.Helper()
	f := &fake{
		t: t, versions: map[string][]*pb.Model{}, labels: map[string]map[string]string{}, endpoints: map[string]*pb.Endpoint{},
		ops: map[string]*pendingOp{}, effects: map[string]int{}, calls: map[string]int{},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(f.intercept))
	pb.RegisterModelServiceServer(server, f)
	pb.RegisterEndpointServiceServer(server, f)
	pb.RegisterPredictionServiceServer(server, f)
	longrunningpb.RegisterOperationsServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	clients, err := gcp.Connect(t.Context(), gcp.Config{Project: "p", Region: "us-central1", EmulatorHost: listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clients.Close() })
	s := New(clients)
	s.patience = patience{
		conflict: 5 * time.Second, precondition: 300 * time.Millisecond, release: 5 * time.Second, appear: 300 * time.Millisecond,
		first: 5 * time.Millisecond, most: 50 * time.Millisecond,
	}
	return f, s
}

func (f *fake) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	f.mu.Lock()
	f.calls[method]++
	n, before, after := f.calls[method], f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(method, n); err != nil {
			return nil, err
		}
	}
	resp, err := handler(ctx, req)
	if err == nil && after != nil {
		if err := after(method, n); err != nil {
			return nil, err
		}
	}
	return resp, err
}

// once is a fault of the first call of a method.
func once(method string, err error) func(string, int) error {
	return func(m string, n int) error {
		if m == method && n == 1 {
			return err
		}
		return nil
	}
}

var errLost = status.Error(codes.Unavailable, "the connection broke")

// start starts an operation; f.mu is held.
func (f *fake) start(on, kind string, effect func() (proto.Message, error)) *longrunningpb.Operation {
	name := fmt.Sprintf("%s/operations/%d", on, len(f.ops)+1)
	p := &pendingOp{op: &longrunningpb.Operation{Name: name}, polls: f.polls, effect: func() (proto.Message, error) {
		if f.lies[kind] {
			return nil, nil
		}
		m, err := effect()
		if err == nil {
			f.effects[kind]++
		}
		return m, err
	}}
	f.ops[name] = p
	f.advance(p)
	return proto.Clone(p.op).(*longrunningpb.Operation)
}

func (f *fake) advance(p *pendingOp) {
	if p.op.Done {
		return
	}
	if p.polls > 0 {
		p.polls--
		return
	}
	p.op.Done = true
	m, err := p.effect()
	if err != nil {
		p.op.Result = &longrunningpb.Operation_Error{Error: status.Convert(err).Proto()}
		return
	}
	if m == nil {
		m = &pb.GenericOperationMetadata{}
	}
	response, _ := anypb.New(m)
	p.op.Result = &longrunningpb.Operation_Response{Response: response}
}

func (f *fake) GetOperation(_ context.Context, req *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.ops[req.GetName()]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such operation")
	}
	f.advance(p)
	return proto.Clone(p.op).(*longrunningpb.Operation), nil
}

func (f *fake) ListOperations(_ context.Context, req *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var resp longrunningpb.ListOperationsResponse
	for name, p := range f.ops {
		if strings.HasPrefix(name, req.GetName()+"/") {
			resp.Operations = append(resp.Operations, proto.Clone(p.op).(*longrunningpb.Operation))
		}
	}
	return &resp, nil
}

// busy tells that an operation runs on an object; f.mu is held.
func (f *fake) busy(name string) bool {
	for _, p := range f.ops {
		if !p.op.Done && strings.HasPrefix(p.op.Name, name+"/") {
			return true
		}
	}
	return false
}

// find returns a model at the version or alias that the name has.
func (f *fake) find(name string) (base string, m *pb.Model, err error) {
	base, at, _ := strings.Cut(name, "@")
	if at == "" {
		at = DefaultAlias
	}
	for _, v := range f.versions[base] {
		if v.GetVersionId() == at || slices.Contains(v.GetVersionAliases(), at) {
			return base, v, nil
		}
	}
	return base, nil, status.Errorf(codes.NotFound, "no model %s", name)
}

func (f *fake) show(base string, m *pb.Model) *pb.Model {
	out := proto.Clone(m).(*pb.Model)
	out.Name = strings.Replace(base, "projects/p/", "projects/123/", 1)
	out.Labels = maps.Clone(f.labels[base])
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	maps.Copy(out.Labels, m.GetLabels())
	for name, e := range f.endpoints {
		for _, d := range e.GetDeployedModels() {
			if d.GetModel() == base+"@"+m.GetVersionId() {
				out.DeployedModels = append(out.DeployedModels, &pb.DeployedModelRef{Endpoint: name, DeployedModelId: d.GetId()})
			}
		}
	}
	return out
}

func (f *fake) GetModel(_ context.Context, req *pb.GetModelRequest) (*pb.Model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, m, err := f.find(req.GetName())
	if err != nil {
		return nil, err
	}
	return f.show(base, m), nil
}

// ListModels has pages of one model, and reads no filter.
func (f *fake) ListModels(_ context.Context, req *pb.ListModelsRequest) (*pb.ListModelsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := slices.Sorted(maps.Keys(f.versions))
	slices.Reverse(names)
	from, _ := strconv.Atoi(req.GetPageToken())
	if from >= len(names) {
		return &pb.ListModelsResponse{}, nil
	}
	base, m, err := f.find(names[from])
	if err != nil {
		return nil, err
	}
	resp := &pb.ListModelsResponse{Models: []*pb.Model{f.show(base, m)}}
	if from+1 < len(names) {
		resp.NextPageToken = strconv.Itoa(from + 1)
	}
	return resp, nil
}

func (f *fake) ListModelVersions(_ context.Context, req *pb.ListModelVersionsRequest) (*pb.ListModelVersionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var resp pb.ListModelVersionsResponse
	for _, v := range f.versions[req.GetName()] {
		resp.Models = append(resp.Models, f.show(req.GetName(), v))
	}
	return &resp, nil
}

func (f *fake) UploadModel(_ context.Context, req *pb.UploadModelRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, kind := req.GetParent()+"/models/"+req.GetModelId(), "upload"
	if req.GetParentModel() != "" {
		base, kind = req.GetParentModel(), "version"
	} else if len(f.versions[base]) > 0 || f.busy(base) {
		return nil, status.Errorf(codes.AlreadyExists, "%s exists", base)
	}
	return f.start(base, kind, func() (proto.Message, error) {
		m := proto.Clone(req.GetModel()).(*pb.Model)
		m.VersionId = "1"
		if all := f.versions[base]; len(all) > 0 {
			m.VersionId = strconv.Itoa(number(all[len(all)-1].GetVersionId()) + 1)
		}
		m.CreateTime = timestamppb.Now()
		if kind == "upload" {
			if !slices.Contains(m.GetVersionAliases(), DefaultAlias) {
				m.VersionAliases = append(m.VersionAliases, DefaultAlias)
			}
			f.labels[base], m.Labels = m.GetLabels(), nil
		}
		f.versions[base] = append(f.versions[base], m)
		return &pb.UploadModelResponse{Model: base, ModelVersionId: m.GetVersionId()}, nil
	}), nil
}

func (f *fake) MergeVersionAliases(_ context.Context, req *pb.MergeVersionAliasesRequest) (*pb.Model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, m, err := f.find(req.GetName())
	if err != nil {
		return nil, err
	}
	for _, alias := range req.GetVersionAliases() {
		bare, removes := strings.CutPrefix(alias, "-")
		for _, v := range f.versions[base] {
			if !removes || v == m {
				v.VersionAliases = slices.DeleteFunc(v.VersionAliases, func(a string) bool { return a == bare })
			}
		}
		if !removes {
			m.VersionAliases = append(m.VersionAliases, alias)
		}
	}
	return f.show(base, m), nil
}

func (f *fake) UpdateModel(_ context.Context, req *pb.UpdateModelRequest) (*pb.Model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, m, err := f.find(req.GetModel().GetName())
	if err != nil {
		return nil, err
	}
	for _, p := range req.GetUpdateMask().GetPaths() {
		switch p {
		case "display_name":
			m.DisplayName = req.GetModel().GetDisplayName()
		case "description":
			m.Description = req.GetModel().GetDescription()
		case "version_description":
			m.VersionDescription = req.GetModel().GetVersionDescription()
		case "labels":
			if strings.Contains(req.GetModel().GetName(), "@") {
				m.Labels = req.GetModel().GetLabels()
			} else {
				f.labels[base] = req.GetModel().GetLabels()
			}
		}
	}
	return f.show(base, m), nil
}

func (f *fake) DeleteModel(_ context.Context, req *pb.DeleteModelRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, _, err := f.find(req.GetName())
	if err != nil {
		return nil, err
	}
	deployed := slices.ContainsFunc(f.versions[base], func(v *pb.Model) bool { return len(f.show(base, v).GetDeployedModels()) > 0 })
	if f.lag--; f.lag >= 0 || deployed {
		return nil, status.Error(codes.FailedPrecondition, "the model is deployed")
	}
	return f.start(base, "delete", func() (proto.Message, error) { delete(f.versions, base); return nil, nil }), nil
}

func (f *fake) DeleteModelVersion(_ context.Context, req *pb.DeleteModelVersionRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base, m, err := f.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if f.lag--; f.lag >= 0 || len(f.show(base, m).GetDeployedModels()) > 0 || slices.Contains(m.GetVersionAliases(), DefaultAlias) || len(f.versions[base]) == 1 {
		return nil, status.Error(codes.FailedPrecondition, "the version is deployed, the default or the only one")
	}
	return f.start(base, "deleteVersion", func() (proto.Message, error) {
		f.versions[base] = slices.DeleteFunc(f.versions[base], func(v *pb.Model) bool { return v == m })
		return nil, nil
	}), nil
}

func (f *fake) changed(e *pb.Endpoint) {
	f.etag++
	e.Etag = strconv.Itoa(f.etag)
	if total := sum(e.GetTrafficSplit()); total != 100 && total != 0 {
		f.t.Errorf("the split %v sums to %d", e.GetTrafficSplit(), total)
	}
	for id := range e.GetTrafficSplit() {
		if !slices.ContainsFunc(e.GetDeployedModels(), func(d *pb.DeployedModel) bool { return d.GetId() == id }) {
			f.t.Errorf("the split %v names %s, which is not deployed", e.GetTrafficSplit(), id)
		}
	}
}

func (f *fake) endpoint(name string) (*pb.Endpoint, error) {
	if name == f.hidden {
		return nil, status.Errorf(codes.PermissionDenied, "aiplatform.endpoints.get denied on %s (or it may not exist)", name)
	}
	if e, ok := f.endpoints[name]; ok {
		return e, nil
	}
	return nil, status.Errorf(codes.NotFound, "no endpoint %s", name)
}

func (f *fake) GetEndpoint(_ context.Context, req *pb.GetEndpointRequest) (*pb.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetName())
	if err != nil {
		return nil, err
	}
	out := proto.Clone(e).(*pb.Endpoint)
	out.Name = strings.Replace(req.GetName(), "projects/p/", "projects/123/", 1)
	for _, d := range out.GetDeployedModels() {
		d.Model, _, _ = strings.Cut(strings.Replace(d.GetModel(), "projects/p/", "projects/123/", 1), "@")
	}
	return out, nil
}

func (f *fake) CreateEndpoint(_ context.Context, req *pb.CreateEndpointRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := req.GetParent() + "/endpoints/" + req.GetEndpointId()
	if f.endpoints[name] != nil || f.busy(name) {
		return nil, status.Errorf(codes.AlreadyExists, "%s exists", name)
	}
	return f.start(name, "create", func() (proto.Message, error) {
		e := proto.Clone(req.GetEndpoint()).(*pb.Endpoint)
		e.CreateTime = timestamppb.Now()
		f.endpoints[name] = e
		f.changed(e)
		return e, nil
	}), nil
}

func (f *fake) UpdateEndpoint(_ context.Context, req *pb.UpdateEndpointRequest) (*pb.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint().GetName())
	if err != nil {
		return nil, err
	}
	if req.GetEndpoint().GetEtag() != e.GetEtag() {
		return nil, status.Error(codes.Aborted, "the etag is stale")
	}
	for _, p := range req.GetUpdateMask().GetPaths() {
		switch p {
		case "display_name":
			e.DisplayName = req.GetEndpoint().GetDisplayName()
		case "description":
			e.Description = req.GetEndpoint().GetDescription()
		case "labels":
			e.Labels = req.GetEndpoint().GetLabels()
		case "predict_request_response_logging_config":
			if !f.lies["logging"] {
				e.PredictRequestResponseLoggingConfig = req.GetEndpoint().GetPredictRequestResponseLoggingConfig()
			}
		case "private_service_connect_config":
			e.PrivateServiceConnectConfig = req.GetEndpoint().GetPrivateServiceConnectConfig()
		case "traffic_split":
			if f.lies["shift"] {
				continue
			}
			e.TrafficSplit = req.GetEndpoint().GetTrafficSplit()
		}
	}
	f.changed(e)
	return e, nil
}

func (f *fake) UpdateEndpointLongRunning(_ context.Context, req *pb.UpdateEndpointLongRunningRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint().GetName())
	if err != nil {
		return nil, err
	}
	if req.GetEndpoint().GetEtag() != e.GetEtag() {
		return nil, status.Error(codes.Aborted, "the etag is stale")
	}
	return f.start(e.GetName(), "timeout", func() (proto.Message, error) {
		e.ClientConnectionConfig = req.GetEndpoint().GetClientConnectionConfig()
		f.changed(e)
		return e, nil
	}), nil
}

func (f *fake) DeployModel(_ context.Context, req *pb.DeployModelRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	id := req.GetDeployedModel().GetId()
	if slices.ContainsFunc(e.GetDeployedModels(), func(d *pb.DeployedModel) bool { return d.GetId() == id }) {
		return nil, status.Errorf(codes.AlreadyExists, "%s is deployed", id)
	}
	if f.busy(req.GetEndpoint()) {
		return nil, status.Error(codes.Aborted, "another operation runs on the endpoint")
	}
	return f.start(req.GetEndpoint(), "deploy", func() (proto.Message, error) {
		_, m, err := f.find(req.GetDeployedModel().GetModel())
		if err != nil {
			return nil, err
		}
		if strings.Contains(m.GetContainerSpec().GetImageUri(), "broken") {
			return nil, status.Error(codes.FailedPrecondition, "Model server exited unexpectedly")
		}
		d := proto.Clone(req.GetDeployedModel()).(*pb.DeployedModel)
		d.ModelVersionId, d.CreateTime = m.GetVersionId(), timestamppb.Now()
		e.DeployedModels = append(e.GetDeployedModels(), d)
		e.TrafficSplit = map[string]int32{}
		for key, share := range req.GetTrafficSplit() {
			if key == "0" {
				key = id
			}
			e.TrafficSplit[key] = share
		}
		f.changed(e)
		return nil, nil
	}), nil
}

func (f *fake) MutateDeployedModel(_ context.Context, req *pb.MutateDeployedModelRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	return f.start(req.GetEndpoint(), "mutate", func() (proto.Message, error) {
		for _, d := range e.GetDeployedModels() {
			if d.GetId() == req.GetDeployedModel().GetId() {
				to, from := d.GetDedicatedResources(), req.GetDeployedModel().GetDedicatedResources()
				for _, path := range req.GetUpdateMask().GetPaths() {
					switch path {
					case "dedicated_resources.min_replica_count":
						to.MinReplicaCount = from.GetMinReplicaCount()
					case "dedicated_resources.max_replica_count":
						to.MaxReplicaCount = from.GetMaxReplicaCount()
					case "dedicated_resources.required_replica_count":
						to.RequiredReplicaCount = from.GetRequiredReplicaCount()
					case "dedicated_resources.autoscaling_metric_specs":
						to.AutoscalingMetricSpecs = from.GetAutoscalingMetricSpecs()
					case "disable_container_logging":
						d.DisableContainerLogging = req.GetDeployedModel().GetDisableContainerLogging()
					}
				}
			}
		}
		f.changed(e)
		return nil, nil
	}), nil
}

func (f *fake) UndeployModel(_ context.Context, req *pb.UndeployModelRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	id := req.GetDeployedModelId()
	switch {
	case !slices.ContainsFunc(e.GetDeployedModels(), func(d *pb.DeployedModel) bool { return d.GetId() == id }):
		return nil, status.Errorf(codes.NotFound, "%s is not deployed", id)
	case e.GetTrafficSplit()[id] > 0 && len(e.GetDeployedModels()) > 1:
		return nil, status.Errorf(codes.FailedPrecondition, "%s has traffic", id)
	}
	return f.start(req.GetEndpoint(), "undeploy", func() (proto.Message, error) {
		before := len(e.GetDeployedModels())
		e.DeployedModels = slices.DeleteFunc(e.GetDeployedModels(), func(d *pb.DeployedModel) bool { return d.GetId() == id })
		if len(e.GetDeployedModels()) == before {
			return nil, status.Errorf(codes.NotFound, "%s is not deployed any more", id)
		}
		delete(e.TrafficSplit, id)
		f.changed(e)
		return nil, nil
	}), nil
}

// Predict answers with the deployed model that has the most traffic.
func (f *fake) Predict(_ context.Context, req *pb.PredictRequest) (*pb.PredictResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	var chosen *pb.DeployedModel
	for _, d := range e.GetDeployedModels() {
		if share := e.GetTrafficSplit()[d.GetId()]; share > 0 && (chosen == nil || share > e.GetTrafficSplit()[chosen.GetId()]) {
			chosen = d
		}
	}
	if chosen == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "Endpoint %s doesn't have traffic_split.", req.GetEndpoint())
	}
	resp := &pb.PredictResponse{DeployedModelId: chosen.GetId()}
	for _, instance := range req.GetInstances() {
		answer, err := f.predict(chosen.GetModelVersionId(), instance.AsInterface())
		if err != nil {
			return nil, err
		}
		value, err := structpb.NewValue(answer)
		if err != nil {
			return nil, err
		}
		resp.Predictions = append(resp.Predictions, value)
	}
	return resp, nil
}

func (f *fake) DeleteEndpoint(_ context.Context, req *pb.DeleteEndpointRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.endpoint(req.GetName())
	if err != nil {
		return nil, err
	}
	if len(e.GetDeployedModels()) > 0 {
		return nil, status.Error(codes.FailedPrecondition, "the endpoint has deployed models")
	}
	return f.start(req.GetName(), "deleteEndpoint", func() (proto.Message, error) { delete(f.endpoints, req.GetName()); return nil, nil }), nil
}
