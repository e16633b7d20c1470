// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// MapValue is a map of strings. An empty one becomes null unless prior
// is an empty map: both mean no labels, and the user's spelling stays.
func MapValue(m map[string]string, prior types.Map) types.Map {
	if len(m) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.MapNull(types.StringType)
	}
	elements := map[string]attr.Value{}
	for k, v := range m {
		elements[k] = types.StringValue(v)
	}
	return types.MapValueMust(types.StringType, elements)
}

// Moment is a time as text (RFC 3339), null for the zero time.
func Moment(t time.Time) types.String {
	if t.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(t.Format(time.RFC3339Nano))
}

// StringOrNull is null for the empty string, unless prior is the empty string:
// Google does not tell the two apart.
func StringOrNull(s string, prior types.String) types.String {
	if s == "" && (prior.IsNull() || prior.IsUnknown() || prior.ValueString() != "") {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// TextOrNull is null for the empty string.
func TextOrNull(s string) types.String { return StringOrNull(s, types.StringNull()) }

// Int32OrNull is null for 0, which is how the API leaves a number out.
func Int32OrNull(n int32) types.Int32 {
	if n == 0 {
		return types.Int32Null()
	}
	return types.Int32Value(n)
}

// SecondsOrNull is a duration as the API spells it, in seconds ("3600s", "1.5s"), null
// for 0.
func SecondsOrNull(d time.Duration) types.String {
	if d == 0 {
		return types.StringNull()
	}
	return types.StringValue(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s")
}
