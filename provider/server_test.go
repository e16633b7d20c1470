// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// broken panics in every call, since there is nothing behind it.
type broken struct{ tfprotov6.ProviderServer }

// A panic in any call that works on a configuration or an object is an error of
// that call, which asks for a report.
func TestAPanicIsAnError(t *testing.T) {
	server := reflect.ValueOf(guarded{broken{}})
	// These only list what there is, or are not served by any resource of ours.
	unguarded := []string{"GetMetadata", "GetProviderSchema", "GetResourceIdentitySchemas", "GetFunctions", "ValidateProviderConfig", "StopProvider",
		"MoveResourceState", "UpgradeResourceIdentity", "GenerateResourceConfig",
		"ValidateEphemeralResourceConfig", "OpenEphemeralResource", "RenewEphemeralResource", "CloseEphemeralResource"}
	tried := 0
	for i := range server.NumMethod() {
		name := server.Type().Method(i).Name
		if strings.Contains(strings.Join(unguarded, " "), name) {
			continue
		}
		tried++
		results := server.Method(i).Call([]reflect.Value{reflect.ValueOf(context.Background()), reflect.Zero(server.Method(i).Type().In(1))})
		err, _ := results[1].Interface().(error)
		if err == nil || !strings.Contains(err.Error(), "Please report") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if tried < 10 {
		t.Errorf("only %d calls", tried)
	}
}
