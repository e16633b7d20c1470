// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/encoding/protojson"
)

// PublisherName names a model of Model Garden.
type PublisherName struct {
	Publisher string
	Model     string
	Version   string // "" leaves it to Google
	// HuggingFace tells that Model is one of Hugging Face's, and Publisher an
	// organization there.
	HuggingFace bool
}

var publisherNames = regexp.MustCompile(`^(publishers/)?([a-z0-9][a-z0-9._-]*)/(models/)?([a-z0-9][a-z0-9._-]*)(?:@([a-z0-9][a-z0-9._-]*))?$`)

// ParsePublisherName reads publishers/PUBLISHER/models/MODEL, with or without
// @VERSION, PUBLISHER/MODEL@VERSION, and ORGANIZATION/MODEL, which is a model of
// Hugging Face: the forms that Google's own tools take. As there, all of it is put
// into lower case, since the API knows no other.
func ParsePublisherName(text string) (PublisherName, error) {
	m := publisherNames.FindStringSubmatch(strings.ToLower(text))
	if m == nil || (m[1] == "") != (m[3] == "") {
		return PublisherName{}, fmt.Errorf("%q is none of publishers/PUBLISHER/models/MODEL@VERSION, PUBLISHER/MODEL@VERSION and, for a model of Hugging Face, ORGANIZATION/MODEL", text)
	}
	return PublisherName{Publisher: m[2], Model: m[4], Version: m[5], HuggingFace: m[1] == "" && m[5] == ""}, nil
}

// String returns the name of the resource, without a version.
func (n PublisherName) String() string {
	return "publishers/" + n.Publisher + "/models/" + n.Model
}

// PublisherModel is a model of Model Garden.
type PublisherModel struct {
	// Name and VersionID are as Google gives them.
	Name      string
	VersionID string
	// OpenSourceCategory, LaunchStage and VersionState are names of the API's enums,
	// "" if they are not told.
	OpenSourceCategory string
	LaunchStage        string
	VersionState       string
	Frameworks         []string
	// Template is the form of names of what belongs to the model, in which users fill
	// in their project.
	Template string
	Schemata Schemata
	// Deployments are the ways of deploying it that Google has verified, the first one
	// being what its own tools take.
	Deployments []PublisherDeployment
}

// PublisherDeployment is a way of deploying a publisher model.
type PublisherDeployment struct {
	Title string
	// Task is such as "text to image generation".
	Task             string
	ModelDisplayName string
	// ArtifactURI is a folder in Cloud Storage, "" if the container fetches the model.
	ArtifactURI string
	// Container is nil for large models, which have none.
	Container *Container
	// Resources are of the kind [Other] if no machines are told.
	Resources     Resources
	Labels        map[string]string
	SampleRequest string
}

// ReadPublisherModel reads a model of Model Garden, from Google's catalogue in a
// location. gcp.IsNotFound tells that there is none.
func (s *Service) ReadPublisherModel(ctx context.Context, location string, name PublisherName) (*PublisherModel, error) {
	asked := name.String()
	if name.Version != "" {
		asked += "@" + name.Version
	}
	content, err := s.clients.PublisherModel(ctx, location, asked, name.HuggingFace)
	if err != nil {
		return nil, err
	}
	return readPublisherModel(content)
}

// lenient accepts what Google adds, and what v1beta1 has and v1 has not.
var lenient = protojson.UnmarshalOptions{DiscardUnknown: true}

func readPublisherModel(content []byte) (*PublisherModel, error) {
	m := new(pb.PublisherModel)
	if err := lenient.Unmarshal(content, m); err != nil {
		return nil, fmt.Errorf("the answer of Model Garden is not a publisher model: %w", err)
	}
	deploys, err := deploysOf(content)
	if err != nil {
		return nil, fmt.Errorf("the answer of Model Garden is not a publisher model: %w", err)
	}
	if deploy := m.GetSupportedActions().GetDeploy(); len(deploys) == 0 && deploy != nil {
		deploys = append(deploys, deploy)
	}
	out := &PublisherModel{
		Name: m.GetName(), VersionID: m.GetVersionId(), Frameworks: m.GetFrameworks(), Template: m.GetPublisherModelTemplate(), Schemata: readSchemata(m.GetPredictSchemata()),
	}
	for _, d := range deploys {
		out.Deployments = append(out.Deployments, readPublisherDeployment(d))
	}
	if v := m.GetOpenSourceCategory(); v != pb.PublisherModel_OPEN_SOURCE_CATEGORY_UNSPECIFIED {
		out.OpenSourceCategory = v.String()
	}
	if v := m.GetLaunchStage(); v != pb.PublisherModel_LAUNCH_STAGE_UNSPECIFIED {
		out.LaunchStage = v.String()
	}
	if v := m.GetVersionState(); v != pb.PublisherModel_VERSION_STATE_UNSPECIFIED {
		out.VersionState = v.String()
	}
	return out, nil
}

// deploysOf reads the one field that v1 lacks. Its elements are the message that v1
// has in the field deploy.
func deploysOf(content []byte) (all []*pb.PublisherModel_CallToAction_Deploy, err error) {
	var answer struct {
		SupportedActions struct {
			MultiDeployVertex struct {
				MultiDeployVertex []json.RawMessage `json:"multiDeployVertex"`
			} `json:"multiDeployVertex"`
		} `json:"supportedActions"`
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, err
	}
	for _, text := range answer.SupportedActions.MultiDeployVertex.MultiDeployVertex {
		d := new(pb.PublisherModel_CallToAction_Deploy)
		if err := lenient.Unmarshal(text, d); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// readPublisherDeployment leaves public_artifact_uri out: it is signed anew at every
// reading, ends soon, and who has it may read what it names.
func readPublisherDeployment(d *pb.PublisherModel_CallToAction_Deploy) PublisherDeployment {
	out := PublisherDeployment{
		Title: d.GetTitle(), Task: d.GetDeployTaskName(), ModelDisplayName: d.GetModelDisplayName(), ArtifactURI: d.GetArtifactUri(),
		Container: readContainer(d.GetContainerSpec(), ""), Resources: Resources{Kind: Other},
		Labels: d.GetDeployMetadata().GetLabels(), SampleRequest: d.GetDeployMetadata().GetSampleRequest(),
	}
	switch r := d.GetPredictionResources().(type) {
	case *pb.PublisherModel_CallToAction_Deploy_DedicatedResources:
		out.Resources = dedicatedOf(r.DedicatedResources, func(name string) string { return name })
	case *pb.PublisherModel_CallToAction_Deploy_AutomaticResources:
		out.Resources = Resources{Kind: Automatic, MinReplicas: r.AutomaticResources.GetMinReplicaCount(), MaxReplicas: r.AutomaticResources.GetMaxReplicaCount()}
	}
	return out
}
