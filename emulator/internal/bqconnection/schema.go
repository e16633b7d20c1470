// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"fmt"
	"regexp"

	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// keyField is the number of kms_key_name, which the REST API of connections has and
// the published protos have not. Google's own number is not known, so it is one that
// no message of Google's uses; only the emulator ever reads it. To generated code it
// is an unknown field, which it keeps and passes on.
const keyField protowire.Number = 1 << 20

// Schema describes the service as its REST API has it (the discovery document of
// bigqueryconnection v1), with kms_key_name as a field of Connection.
func Schema() (protoreflect.ServiceDescriptor, error) {
	published := connectionpb.File_google_cloud_bigquery_connection_v1_connection_proto
	file := protodesc.ToFileDescriptorProto(published)
	for _, m := range file.GetMessageType() {
		if m.GetName() == "Connection" {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
				Name: proto.String("kms_key_name"), JsonName: proto.String("kmsKeyName"), Number: proto.Int32(int32(keyField)),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			})
		}
	}
	whole, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		return nil, fmt.Errorf("schema of connections: %w", err)
	}
	return whole.Services().ByName("ConnectionService"), nil
}

// keyOf reads the key that a connection of a request names.
func keyOf(c *connectionpb.Connection) (key string) {
	for rest := c.ProtoReflect().GetUnknown(); len(rest) > 0; {
		number, kind, size := protowire.ConsumeField(rest)
		if size < 0 {
			return key
		}
		if number == keyField && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(rest)
			key, _ = protowire.ConsumeString(rest[tag:])
		}
		rest = rest[size:]
	}
	return key
}

// showKey puts the key into the connection of an answer.
func showKey(c *connectionpb.Connection, key string) {
	if key != "" {
		c.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, keyField, protowire.BytesType), key))
	}
}

var keyPattern = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// checkKey refuses what is no name of a key. Whether the key exists is not checked:
// the emulator has no Cloud KMS.
func checkKey(key string) error {
	if key != "" && !keyPattern.MatchString(key) {
		return status.Errorf(codes.InvalidArgument, "The kms_key_name %q is not valid: want projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.", key)
	}
	return nil
}

// shownKey is the key of a connection as it is read.
func (s *Server) shownKey(key string) string {
	if key != "" && s.cfg.Assume.Is(assume.ConnectionKeyVersion, "yes") {
		return key + "/cryptoKeyVersions/1"
	}
	return key
}
