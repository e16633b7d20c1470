// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// codec is vanguard's JSON codec made as strict as Google's: an unknown field is
// an error instead of being dropped, fields without a value are left out of
// answers, and an error is rendered in Google's envelope.
type codec struct{ *vanguard.JSONCodec }

func newCodec(res vanguard.TypeResolver) vanguard.Codec {
	return codec{&vanguard.JSONCodec{
		MarshalOptions:   protojson.MarshalOptions{Resolver: res, Multiline: true, Indent: "  "},
		UnmarshalOptions: protojson.UnmarshalOptions{Resolver: res, DiscardUnknown: false},
	}}
}

// MarshalAppend renders a message. vanguard passes a google.rpc.Status only when
// it renders an error.
func (c codec) MarshalAppend(base []byte, msg proto.Message) ([]byte, error) {
	if s, ok := msg.(*statuspb.Status); ok {
		return append(base, statusEnvelope(s)...), nil
	}
	return c.JSONCodec.MarshalAppend(base, msg)
}

// Unmarshal reads a message and words the error as Google does.
func (c codec) Unmarshal(data []byte, msg proto.Message) error {
	return payloadError(c.JSONCodec.Unmarshal(data, msg))
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// payloadError words a JSON error as Google does and gives it its code.
func payloadError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	if m := unknownField.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("Invalid JSON payload received. Unknown name %q: Cannot find field.", m[1])
	} else {
		text = "Invalid JSON payload received. " + strings.TrimPrefix(text, "proto: ")
	}
	return connect.NewError(connect.CodeInvalidArgument, errors.New(text))
}
