// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

// listed is what lists can filter and order by.
type listed interface {
	proto.Message
	GetName() string
	GetDisplayName() string
	GetLabels() map[string]string
}

// condition is one term of a filter.
type condition struct {
	field string // snake_case; "labels" with a key
	key   string
	op    string // "=", "!=" or ":" (the label exists)
	value string
}

// parseFilter reads conditions joined by AND and OR, the part of AIP-160 that
// clients of the Vertex AI lists use. The result is a conjunction of
// disjunctions: in AIP-160 OR binds tighter than AND. idField is "model" or
// "endpoint".
func parseFilter(filter, idField string) ([][]condition, error) {
	var out [][]condition
	rest := strings.TrimSpace(filter)
	for rest != "" {
		joined := "AND"
		if len(out) > 0 {
			word, after, _ := strings.Cut(rest, " ")
			if joined = strings.ToUpper(word); joined != "AND" && joined != "OR" {
				return nil, invalidFilter(filter, "conditions are joined with AND or OR")
			}
			rest = strings.TrimSpace(after)
		}
		c, after, err := parseCondition(rest, filter, idField)
		if err != nil {
			return nil, err
		}
		if joined == "OR" {
			out[len(out)-1] = append(out[len(out)-1], c)
		} else {
			out = append(out, []condition{c})
		}
		rest = strings.TrimSpace(after)
	}
	return out, nil
}

func invalidFilter(filter, why string) error {
	return invalid("filter %q is not valid: %s.", filter, why)
}

func parseCondition(text, filter, idField string) (condition, string, error) {
	field, rest, err := token(text, filter)
	if err != nil {
		return condition{}, "", err
	}
	c := condition{field: snake(field)}
	if after, ok := strings.CutPrefix(rest, "."); ok && c.field == "labels" {
		if c.key, rest, err = token(after, filter); err != nil {
			return condition{}, "", err
		}
	}
	rest = strings.TrimSpace(rest)
	for _, op := range []string{"!=", "=", ":"} {
		if after, ok := strings.CutPrefix(rest, op); ok {
			c.op, rest = op, strings.TrimSpace(after)
			break
		}
	}
	if c.op == "" {
		return condition{}, "", invalidFilter(filter, "want =, != or : after "+field)
	}
	if after, ok := strings.CutPrefix(rest, "*"); ok && c.op == ":" && c.key != "" {
		return c, after, nil
	}
	if c.value, rest, err = token(rest, filter); err != nil {
		return condition{}, "", err
	}
	if c.op == ":" {
		if c.field != "labels" || c.key != "" {
			return condition{}, "", invalidFilter(filter, `":" is only for labels:KEY and labels.KEY:*`)
		}
		c.key, c.value = c.value, ""
	}
	switch {
	case c.field == idField, c.field == "display_name", c.field == "labels" && c.key != "":
		return c, rest, nil
	case c.field == "base_model_name" && c.op != "=":
		return condition{}, "", invalidFilter(filter, "base_model_name only supports =")
	case c.field == "base_model_name":
		return condition{}, "", status.Errorf(codes.Unimplemented, "filter %q is not implemented by the emulator: it is not documented which name base_model_name is compared with.", filter)
	}
	return condition{}, "", invalidFilter(filter, "it can name "+idField+", display_name, labels and base_model_name")
}

// token reads a bare word or a quoted string.
func token(text, filter string) (string, string, error) {
	if rest, ok := strings.CutPrefix(text, `"`); ok {
		value, after, ok := strings.Cut(rest, `"`)
		if !ok {
			return "", "", invalidFilter(filter, "a quote is not closed")
		}
		return value, after, nil
	}
	end := strings.IndexFunc(text, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return "", "", invalidFilter(filter, "a name or value is missing")
	}
	return text[:end], text[end:], nil
}

// snake turns a camelCase field name into snake_case.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (c condition) matches(item listed) bool {
	var got string
	switch c.field {
	case "display_name":
		got = item.GetDisplayName()
	case "labels":
		value, ok := item.GetLabels()[c.key]
		if c.op == ":" {
			return ok
		}
		if !ok {
			return c.op == "!="
		}
		got = value
	default: // the id
		got = item.GetName()[strings.LastIndex(item.GetName(), "/")+1:]
	}
	return (got == c.value) == (c.op == "=")
}

// sortKey is one element of order_by.
type sortKey struct {
	field string
	desc  bool
}

func parseOrder(orderBy string, allowed ...string) ([]sortKey, error) {
	var keys []sortKey
	for part := range strings.SplitSeq(orderBy, ",") {
		words := strings.Fields(part)
		if len(words) == 0 && strings.TrimSpace(orderBy) == "" {
			break
		}
		if len(words) == 0 || len(words) > 2 || !slices.Contains(allowed, snake(words[0])) ||
			(len(words) == 2 && words[1] != "asc" && words[1] != "desc") {
			return nil, invalid("order_by %q is not valid: it can name %s, each with an optional desc.", orderBy, strings.Join(allowed, ", "))
		}
		keys = append(keys, sortKey{snake(words[0]), len(words) == 2 && words[1] == "desc"})
	}
	return keys, nil
}

// query is the common part of the list requests.
type query[T listed] struct {
	filter, orderBy string
	orderable       []string
	idField         string
	pageSize        int32
	pageToken       string
	readMask        *fieldmaskpb.FieldMask
	// created and updated are the times of an item, for order_by.
	created, updated func(T) time.Time
}

// list filters, orders and pages items that are in order of creation.
func list[T listed](items []T, q query[T]) ([]T, string, error) {
	terms, err := parseFilter(q.filter, q.idField)
	if err != nil {
		return nil, "", err
	}
	keys, err := parseOrder(q.orderBy, q.orderable...)
	if err != nil {
		return nil, "", err
	}
	items = slices.DeleteFunc(slices.Clone(items), func(item T) bool {
		return slices.ContainsFunc(terms, func(alternatives []condition) bool {
			return !slices.ContainsFunc(alternatives, func(c condition) bool { return c.matches(item) })
		})
	})
	slices.SortStableFunc(items, func(a, b T) int {
		for _, k := range keys {
			var d int
			switch k.field {
			case "display_name":
				d = cmp.Compare(a.GetDisplayName(), b.GetDisplayName())
			case "create_time":
				d = q.created(a).Compare(q.created(b))
			case "update_time":
				d = q.updated(a).Compare(q.updated(b))
			}
			if k.desc {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return 0
	})
	page, next, err := store.Page(items, q.pageSize, q.pageToken)
	if err != nil {
		return nil, "", invalid("%v.", err)
	}
	if err := applyReadMask(page, q.readMask); err != nil {
		return nil, "", err
	}
	return page, next, nil
}

// applyReadMask keeps the named top-level fields.
func applyReadMask[T listed](items []T, mask *fieldmaskpb.FieldMask) error {
	if len(mask.GetPaths()) == 0 || slices.Contains(mask.GetPaths(), "*") {
		return nil
	}
	for _, path := range mask.GetPaths() {
		if strings.Contains(path, ".") {
			return status.Errorf(codes.Unimplemented, "read_mask %q is not implemented by the emulator: only top-level fields are.", path)
		}
	}
	for _, item := range items {
		m := item.ProtoReflect()
		for _, path := range mask.GetPaths() {
			if m.Descriptor().Fields().ByName(protoreflect.Name(path)) == nil {
				return invalid("read_mask: there is no field %q.", path)
			}
		}
		m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			if !slices.Contains(mask.GetPaths(), string(fd.Name())) {
				m.Clear(fd)
			}
			return true
		})
	}
	return nil
}
