// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// dropOutputOnly clears the fields that only the server sets; Google ignores
// them on input.
func dropOutputOnly(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isOutputOnly(fd):
			m.Clear(fd)
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				dropOutputOnly(v.List().Get(i).Message())
			}
		default:
			dropOutputOnly(v.Message())
		}
		return true
	})
}

func isOutputOnly(fd protoreflect.FieldDescriptor) bool {
	options, ok := fd.Options().(*descriptorpb.FieldOptions)
	if !ok {
		return false
	}
	behaviour, _ := proto.GetExtension(options, annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviour, annotations.FieldBehavior_OUTPUT_ONLY)
}

// onlyFields refuses a message that sets a field outside the emulated surface:
// dropping it silently would pretend that it took effect. path is where the
// message is in its request, for the error.
func onlyFields(path string, msg proto.Message, supported ...protoreflect.Name) error {
	var err error
	msg.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(supported, fd.Name()) {
			err = status.Errorf(codes.Unimplemented, "%s.%s is not implemented by the emulator: leave it out.", path, fd.Name())
		}
		return err == nil
	})
	return err
}

// fieldNames are the names of a message's fields.
func fieldNames(msg proto.Message) []string {
	fields := msg.ProtoReflect().Descriptor().Fields()
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = string(fields.Get(i).Name())
	}
	return names
}
