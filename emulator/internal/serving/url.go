// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// predictTimeout is Vertex AI's limit for one prediction on a shared endpoint.
const predictTimeout = 60 * time.Second

// maxResponse bounds what is read from a model server.
const maxResponse = 10 << 20

// urlServer speaks the contract of Vertex AI's custom containers: POST
// {"instances": […], "parameters": …}, answered by {"predictions": […]}.
type urlServer struct {
	client *http.Client
	url    string
}

// startURL waits for the health route to answer 200, as Vertex AI does before it
// sends traffic.
func (c *Catalog) startURL(ctx context.Context, base *url.URL, container Container) (Server, error) {
	health := join(base, container.HealthRoute)
	ctx, cancel := context.WithTimeout(ctx, c.startFor)
	defer cancel()
	for {
		err := c.probe(ctx, health)
		if err == nil {
			break
		}
		if sleepErr := c.clock.Sleep(ctx, 100*time.Millisecond); sleepErr != nil {
			if errors.Is(sleepErr, context.Canceled) {
				return nil, sleepErr
			}
			return nil, status.Errorf(codes.FailedPrecondition,
				"Model server exited unexpectedly. The model server for image %q does not answer its health route at %s: %v.", container.ImageURI, health, err)
		}
	}
	return &urlServer{client: c.client, url: join(base, container.PredictRoute)}, nil
}

func (c *Catalog) probe(ctx context.Context, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	res, err := c.client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxResponse))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", res.StatusCode)
	}
	return nil
}

func join(base *url.URL, route string) string {
	return strings.TrimSuffix(base.String(), "/") + route
}

func (s *urlServer) Predict(ctx context.Context, instances []*structpb.Value, parameters *structpb.Value) ([]*structpb.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, predictTimeout)
	defer cancel()
	fields := map[string]*structpb.Value{"instances": structpb.NewListValue(&structpb.ListValue{Values: instances})}
	if parameters != nil {
		fields["parameters"] = parameters
	}
	body, err := protojson.Marshal(&structpb.Struct{Fields: fields})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return nil, status.Errorf(codes.Unavailable, "The model server does not answer: %v.", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "The model server's answer broke off: %v.", err)
	}
	if len(answer) > maxResponse {
		return nil, status.Errorf(codes.FailedPrecondition, "The model server's answer is larger than %d bytes.", maxResponse)
	}
	if res.StatusCode != http.StatusOK {
		return nil, status.Errorf(codeOf(res.StatusCode), "The model server answered with HTTP status %d: %s", res.StatusCode, excerpt(answer))
	}
	return predictions(answer)
}

func predictions(answer []byte) ([]*structpb.Value, error) {
	var out structpb.Struct
	if err := protojson.Unmarshal(answer, &out); err != nil {
		return nil, status.Errorf(codes.Internal, "The model server's answer is not a JSON object: %s", excerpt(answer))
	}
	list, ok := out.GetFields()["predictions"].GetKind().(*structpb.Value_ListValue)
	if !ok {
		return nil, status.Errorf(codes.Internal, `The model server's answer has no list "predictions": %s`, excerpt(answer))
	}
	return list.ListValue.GetValues(), nil
}

// excerpt shortens an answer for an error message.
func excerpt(b []byte) string {
	const limit = 500
	if len(b) > limit {
		return string(bytes.ToValidUTF8(b[:limit], nil)) + "…"
	}
	return string(bytes.ToValidUTF8(b, nil))
}

func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	}
	return codes.Internal
}
