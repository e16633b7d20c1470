// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/rest"
)

var v1Path = regexp.MustCompile(`^/v1/projects/([^/:]+(?::[^/:]+\.[^/:]+)?)(?::(getIamPolicy|setIamPolicy|testIamPermissions))?$`)

// V1Routes are the methods that V1 serves.
var V1Routes = []string{
	"GET /v1/projects/{project}",
	"POST /v1/projects/{project}:getIamPolicy",
	"POST /v1/projects/{project}:setIamPolicy",
	"POST /v1/projects/{project}:testIamPermissions",
}

// V1 serves Resource Manager version 1, which has no protocol buffers but is what
// gcloud calls: GET /v1/projects/P and POST /v1/projects/P:getIamPolicy,
// :setIamPolicy and :testIamPermissions. Other requests go to next.
func (s *Server) V1(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := v1Path.FindStringSubmatch(r.URL.Path)
		if m == nil || (m[2] == "") != (r.Method == http.MethodGet) || (m[2] != "") != (r.Method == http.MethodPost) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := s.v1(r.Context(), "projects/"+m[1], m[2], r.Body)
		if err != nil {
			st := status.Convert(err)
			rest.WriteError(w, st.Code(), st.Message())
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = w.Write(body)
	})
}

func (s *Server) v1(ctx context.Context, name, verb string, body io.Reader) ([]byte, error) {
	switch verb {
	case "getIamPolicy":
		return call(ctx, body, &iampb.GetIamPolicyRequest{}, func(r *iampb.GetIamPolicyRequest) { r.Resource = name }, s.GetIamPolicy)
	case "setIamPolicy":
		return call(ctx, body, &iampb.SetIamPolicyRequest{}, func(r *iampb.SetIamPolicyRequest) { r.Resource = name }, s.SetIamPolicy)
	case "testIamPermissions":
		return call(ctx, body, &iampb.TestIamPermissionsRequest{}, func(r *iampb.TestIamPermissionsRequest) { r.Resource = name }, s.TestIamPermissions)
	}
	p, err := s.GetProject(ctx, &resourcemanagerpb.GetProjectRequest{Name: name})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{
		"projectId":      p.GetProjectId(),
		"projectNumber":  p.GetName()[len("projects/"):],
		"name":           p.GetDisplayName(),
		"lifecycleState": p.GetState().String(),
		"createTime":     p.GetCreateTime().AsTime().Format(time.RFC3339),
	})
}

// call decodes a JSON request, completes it and encodes the answer.
func call[Q proto.Message, A proto.Message](ctx context.Context, body io.Reader, request Q, complete func(Q), method func(context.Context, Q) (A, error)) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "The request could not be read.")
	}
	if len(data) > 0 {
		if err := protojson.Unmarshal(data, request); err != nil {
			return nil, status.Error(codes.InvalidArgument, "Invalid JSON payload received. "+strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:")))
		}
	}
	complete(request)
	answer, err := method(ctx, request)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(answer)
}

// shortHash is 13 hexadecimal digits of a text's hash.
func shortHash(text string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text)
	return fmt.Sprintf("%016x", h.Sum64())[:13]
}
