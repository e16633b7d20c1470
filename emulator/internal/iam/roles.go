// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package iam

// PredictPermission is what an account needs in the project of an endpoint to ask
// it for predictions.
const PredictPermission = "aiplatform.endpoints.predict"

// rolesWith lists, for the permissions that the emulator checks, the predefined
// roles that hold them. A custom role holds none: the emulator has no custom
// roles.
var rolesWith = map[string][]string{
	PredictPermission: {
		"roles/owner",
		"roles/editor",
		"roles/aiplatform.admin",
		"roles/aiplatform.user",
		"roles/aiplatform.serviceAgent",
		"roles/aiplatform.customCodeServiceAgent",
	},
}
