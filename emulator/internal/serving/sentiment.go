// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package serving

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/jonreiter/govader"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// tutorialImage matches the prebuilt TensorFlow containers that Google's
// remote-model tutorial deploys, in every regional mirror.
var tutorialImage = regexp.MustCompile(`^(us|europe|asia)-docker\.pkg\.dev/vertex-ai/prediction/tf2-(cpu|gpu)\.2-[0-9]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})?$`)

// sentiment is the local stand-in for the tutorial's BERT model: VADER, a
// published lexicon and rule model (Hutto & Gilbert 2014), in the tutorial's
// shape – {"text": "…"} in, one score in [0, 1] out, 1 being positive. It is a
// real model, but not the tutorial's.
type sentiment struct{}

// analyzer loads the lexicon once; scoring only reads it.
var analyzer = sync.OnceValue(govader.NewSentimentIntensityAnalyzer)

func (sentiment) Predict(ctx context.Context, instances []*structpb.Value, _ *structpb.Value) ([]*structpb.Value, error) {
	out := make([]*structpb.Value, len(instances))
	for i, instance := range instances {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		text, err := textOf(instance)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "Failed to process element: %d of 'instances' list. Error: %v.", i, err)
		}
		score := (analyzer().PolarityScores(text).Compound + 1) / 2
		out[i] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewNumberValue(score)}})
	}
	return out, nil
}

// textOf reads an instance: an object with the one field text or, as TensorFlow
// Serving allows for a model with a single input, the bare string.
func textOf(instance *structpb.Value) (string, error) {
	switch v := instance.GetKind().(type) {
	case *structpb.Value_StringValue:
		return v.StringValue, nil
	case *structpb.Value_StructValue:
		fields := v.StructValue.GetFields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if name != "text" {
				return "", fmt.Errorf("the model has no input named %q; its input is \"text\"", name)
			}
		}
		text, ok := fields["text"]
		if !ok {
			return "", fmt.Errorf("missing named input \"text\"")
		}
		s, ok := text.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return "", fmt.Errorf("input \"text\" must be a string")
		}
		return s.StringValue, nil
	default:
		return "", fmt.Errorf("an instance must be an object with the field \"text\"")
	}
}
