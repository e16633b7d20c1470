// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"reflect"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
)

// Expected values follow the comments of endpoint.proto and machine_resources.proto.
func TestServing(t *testing.T) {
	dedicated := func(m *pb.MachineSpec, minimum, maximum int32) *pb.DeployedModel_DedicatedResources {
		return &pb.DeployedModel_DedicatedResources{DedicatedResources: &pb.DedicatedResources{MachineSpec: m, MinReplicaCount: minimum, MaxReplicaCount: maximum}}
	}
	got := servingOf(&pb.Endpoint{
		TrafficSplit: map[string]int32{"1": 50, "2": 30, "3": 15, "4": 5},
		DeployedModels: []*pb.DeployedModel{
			{Id: "4", DisplayName: "pool", PredictionResources: &pb.DeployedModel_SharedResources{SharedResources: "projects/p/locations/l/deploymentResourcePools/q"}},
			{Id: "1", DisplayName: "main", PredictionResources: dedicated(&pb.MachineSpec{MachineType: "n1-standard-4", AcceleratorType: pb.AcceleratorType_NVIDIA_TESLA_T4, AcceleratorCount: 1}, 1, 3), Status: &pb.DeployedModel_Status{AvailableReplicaCount: 2}},
			{Id: "2", PredictionResources: dedicated(&pb.MachineSpec{MachineType: "n1-standard-2"}, 2, 0)},
			{Id: "3", DisplayName: "auto", PredictionResources: &pb.DeployedModel_AutomaticResources{AutomaticResources: &pb.AutomaticResources{MinReplicaCount: 1}}},
			{Id: "5", DisplayName: "idle", PredictionResources: dedicated(nil, 1, 1)},
		},
	})
	want := []Serving{
		{Deployment: "2", Traffic: 30, Resources: "dedicated", MachineType: "n1-standard-2", MinReplicas: 2, MaxReplicas: 2},
		{Deployment: "auto", Traffic: 15, Resources: "automatic", MinReplicas: 1},
		{Deployment: "main", Traffic: 50, Resources: "dedicated", MachineType: "n1-standard-4", AcceleratorType: "NVIDIA_TESLA_T4", AcceleratorCount: 1, MinReplicas: 1, MaxReplicas: 3, Available: 2},
		{Deployment: "pool", Traffic: 5, Resources: "shared", Pool: "projects/p/locations/l/deploymentResourcePools/q"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
