// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Signature is what a TensorFlow SavedModel takes and returns, as TensorFlow Serving's
// predict API shows it.
type Signature struct {
	Inputs, Outputs map[string]Tensor
}

// Tensor is an input or output of a signature.
type Tensor struct {
	DType int32 // tensorflow.DataType
	// Dims are the sizes, the first of which is that of the batch; -1 is any. Dims is
	// nil, and Unranked set, if even their number is not known.
	Dims     []int64
	Unranked bool
}

// Names of the parts of a SavedModel that are served.
const (
	serveTag         = "serve"
	servingSignature = "serving_default"
)

// ParseSavedModel reads the signature that is served out of saved_model.pb. The field
// numbers are those of saved_model.proto, meta_graph.proto and tensor_shape.proto of
// TensorFlow's core/protobuf; fields that do not matter here are skipped.
func ParseSavedModel(pb []byte) (Signature, error) {
	var found *Signature
	var names []string
	err := fields(pb, func(n protowire.Number, graph []byte, _ uint64) error {
		if n != 2 { // SavedModel.meta_graphs
			return nil
		}
		tags, signatures, err := metaGraph(graph)
		if err != nil || !slices.Contains(tags, serveTag) {
			return err
		}
		if s, ok := signatures[servingSignature]; ok && found == nil {
			found = &s
		}
		names = slices.Sorted(maps.Keys(signatures))
		return nil
	})
	switch {
	case err != nil:
		return Signature{}, fmt.Errorf("it is not a SavedModel: %w", err)
	case found == nil:
		return Signature{}, fmt.Errorf("it has no signature %s to serve (it has %v)", servingSignature, names)
	}
	return *found, nil
}

func metaGraph(pb []byte) (tags []string, signatures map[string]Signature, err error) {
	signatures = map[string]Signature{}
	err = fields(pb, func(n protowire.Number, value []byte, _ uint64) error {
		switch n {
		case 1: // MetaGraphDef.meta_info_def
			return fields(value, func(n protowire.Number, tag []byte, _ uint64) error {
				if n == 4 { // MetaInfoDef.tags
					tags = append(tags, string(tag))
				}
				return nil
			})
		case 5: // MetaGraphDef.signature_def
			return entry(value, func(name string, def []byte) error {
				s, err := signature(def)
				signatures[name] = s
				return err
			})
		}
		return nil
	})
	return tags, signatures, err
}

func signature(pb []byte) (Signature, error) {
	s := Signature{Inputs: map[string]Tensor{}, Outputs: map[string]Tensor{}}
	return s, fields(pb, func(n protowire.Number, value []byte, _ uint64) error {
		into := map[protowire.Number]map[string]Tensor{1: s.Inputs, 2: s.Outputs}[n] // SignatureDef.inputs, .outputs
		if into == nil {
			return nil
		}
		return entry(value, func(name string, info []byte) error {
			t, err := tensor(info)
			into[name] = t
			return err
		})
	})
}

func tensor(pb []byte) (t Tensor, err error) {
	t.Dims = []int64{}
	return t, fields(pb, func(n protowire.Number, value []byte, number uint64) error {
		switch n {
		case 2: // TensorInfo.dtype
			t.DType = int32(number) //nolint:gosec // an enumeration
		case 3: // TensorInfo.tensor_shape
			return fields(value, func(n protowire.Number, dim []byte, number uint64) error {
				switch n {
				case 2: // TensorShapeProto.dim
					size := int64(0)
					err := fields(dim, func(n protowire.Number, _ []byte, number uint64) error {
						if n == 1 { // Dim.size
							size = int64(number) //nolint:gosec // two's complement, as protobuf has it
						}
						return nil
					})
					t.Dims = append(t.Dims, size)
					return err
				case 3: // TensorShapeProto.unknown_rank
					t.Unranked = number != 0
				}
				return nil
			})
		}
		return nil
	})
}

// fields calls visit for every field of a message: bytes for one with a length, a
// number for a varint.
func fields(pb []byte, visit func(n protowire.Number, value []byte, number uint64) error) error {
	for len(pb) > 0 {
		n, wire, size := protowire.ConsumeTag(pb)
		if size < 0 {
			return protowire.ParseError(size)
		}
		pb = pb[size:]
		var value []byte
		var number uint64
		switch wire {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(pb)
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(pb)
		default:
			size = protowire.ConsumeFieldValue(n, wire, pb)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		pb = pb[size:]
		if err := visit(n, value, number); err != nil {
			return err
		}
	}
	return nil
}

// entry reads an entry of a map from strings to messages.
func entry(pb []byte, visit func(key string, value []byte) error) error {
	var key string
	var message []byte
	err := fields(pb, func(n protowire.Number, value []byte, _ uint64) error {
		switch n {
		case 1:
			key = string(value)
		case 2:
			message = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return visit(key, message)
}

// sqlTypes are the types of GoogleSQL that hold what TensorFlow Serving writes in JSON
// for a tensorflow.DataType (types.proto). UINT64, half, complex and quantized types
// have none.
var sqlTypes = map[int32]string{
	1: "FLOAT64", 2: "FLOAT64", 14: "FLOAT64", 19: "FLOAT64", // FLOAT, DOUBLE, BFLOAT16, HALF
	3: "INT64", 4: "INT64", 5: "INT64", 6: "INT64", 9: "INT64", 17: "INT64", 22: "INT64", // INT32, UINT8, INT16, INT8, INT64, UINT16, UINT32
	7: "STRING", 10: "BOOL",
}

// Columns are the INPUT and OUTPUT of a remote model with this signature, by name. The
// first dimension is the batch: without another one a row has a scalar, with a second
// one an array, and BigQuery has no type for more.
func (s Signature) Columns() (input, output []Column, err error) {
	if len(s.Inputs) == 0 || len(s.Outputs) == 0 {
		return nil, nil, errors.New("the signature has no inputs or no outputs")
	}
	if input, err = tensorColumns("input", s.Inputs); err != nil {
		return nil, nil, err
	}
	output, err = tensorColumns("output", s.Outputs)
	return input, output, err
}

func tensorColumns(what string, tensors map[string]Tensor) ([]Column, error) {
	var columns []Column
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		typ, ok := sqlTypes[t.DType]
		switch {
		case !ok:
			return nil, fmt.Errorf("the %s %s is of TensorFlow's data type %d, for which BigQuery has none", what, name, t.DType)
		case t.Unranked || len(t.Dims) == 0 || len(t.Dims) > 2:
			return nil, fmt.Errorf("the %s %s has a shape that is neither one value nor one array for each row", what, name)
		case len(t.Dims) == 2:
			typ = "ARRAY<" + typ + ">"
		}
		if err := CheckColumnName(name); err != nil {
			return nil, fmt.Errorf("the %s %w", what, err)
		}
		columns = append(columns, Column{name, typ})
	}
	return columns, nil
}
