// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"fmt"
	"strings"
)

// CheckRegions tells whether a connection in one BigQuery location can reach an
// endpoint in a Vertex AI region. What cannot work is an error; what Google's
// documentation contradicts itself on is a warning ("" is none): it asks for an
// endpoint inside of the multi-region, and elsewhere rules multi-regions out that
// its own tutorial uses.
func CheckRegions(connection, endpoint string) (warning string, err error) {
	c, e := strings.ToLower(connection), strings.ToLower(endpoint)
	inside, multi := map[string]string{"us": "us-", "eu": "europe-"}[c]
	switch {
	case !multi && c != e:
		return "", fmt.Errorf("a connection in %s reaches only endpoints in %s, and this endpoint is in %s: put both in one region (the dataset is where the connection is)", connection, connection, endpoint)
	case multi && !strings.HasPrefix(e, inside):
		return fmt.Sprintf("a connection in the multi-region %s is documented to reach endpoints in its own regions (%s…), and this endpoint is in %s: predictions may be refused", connection, inside, endpoint), nil
	}
	return "", nil
}
