// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// support tells until when Google patches a prebuilt container, and until when it
// is there at all.
type support struct{ patched, available string }

// prebuilt has the support of Google's prebuilt containers for inference, by
// framework and version.
//
// Source: https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers,
// now https://docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/predictions/pre-built-containers
// (columns "End of patch and support date" and "End of availability"), as it was in
// the autumn of 2026. Dates have been postponed before, so what is told is a
// warning that names the page.
var prebuilt = map[string]support{
	"tf2.2-15": {"2026-07-14", "2027-01-14"}, "tf2.2-14": {"2026-01-14", "2027-01-14"}, "tf2.2-13": {"2024-11-28", "2025-11-28"}, "tf2.2-12": {"2024-06-30", "2025-06-30"},
	"tf2.2-11": oldest, "tf2.2-10": oldest, "tf2.2-9": oldest, "tf2.2-8": oldest, "tf2.2-7": oldest, "tf2.2-6": oldest, "tf2.2-5": oldest,
	"tf2.2-4": oldest, "tf2.2-3": oldest, "tf2.2-2": oldest, "tf2.2-1": oldest, "tf.1-15": oldest,

	"tf_opt.2-17": {"2024-07-11", "2025-07-11"}, "tf_opt.2-16": {"2024-04-26", "2025-04-26"}, "tf_opt.2-15": {"2024-08-15", "2025-08-15"},
	"tf_opt.2-14": {"2024-08-15", "2025-08-15"}, "tf_opt.2-13": {"2024-08-15", "2025-08-15"}, "tf_opt.2-12": {"2024-05-15", "2025-05-15"},
	"tf_opt.2-11": oldest, "tf_opt.2-10": oldest, "tf_opt.2-9": oldest, "tf_opt.2-8": oldest,

	"pytorch.2-4": {"2026-07-14", "2027-01-14"}, "pytorch.2-3": {"2026-01-14", "2027-01-14"}, "pytorch.2-2": {"2026-01-14", "2027-01-14"},
	"pytorch.2-1": {"2024-12-01", "2025-12-01"}, "pytorch.2-0": {"2024-07-27", "2025-07-27"},
	"pytorch.1-13": {"2024-05-15", "2025-05-15"}, "pytorch.1-12": {"2024-05-15", "2025-05-15"}, "pytorch.1-11": {"2024-05-15", "2025-05-15"},

	"sklearn.1-6": {"2026-10-14", "2027-10-14"}, "sklearn.1-5": {"2026-07-14", "2027-01-14"}, "sklearn.1-4": {"2026-01-14", "2027-01-14"},
	"sklearn.1-3": {"2024-11-28", "2025-11-28"}, "sklearn.1-2": {"2024-06-30", "2025-06-30"},
	"sklearn.1-0": oldest, "sklearn.0-24": oldest, "sklearn.0-23": oldest, "sklearn.0-22": oldest, "sklearn.0-20": oldest,

	"xgboost.2-1": {"2026-07-14", "2027-01-14"}, "xgboost.2-0": {"2026-01-14", "2027-01-14"}, "xgboost.1-7": {"2024-06-30", "2025-12-30"},
	"xgboost.1-6": oldest, "xgboost.1-5": oldest, "xgboost.1-4": oldest, "xgboost.1-3": oldest, "xgboost.1-2": oldest, "xgboost.1-1": oldest,
	"xgboost.0-90": oldest, "xgboost.0-82": oldest,
}

var oldest = support{"2023-11-15", "2024-11-15"}

const prebuiltPage = "https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers"

// warnedBefore is how long before the end of support it is told.
const warnedBefore = 90 * 24 * time.Hour

// prebuiltImage is one of Google's prebuilt containers for inference.
type prebuiltImage struct{ framework, version, tag string }

// "[region]-docker.pkg.dev/vertex-ai/prediction/[framework]-[accelerator].[version]:latest"
var prebuiltPattern = regexp.MustCompile(`^(?:us|europe|asia)-docker\.pkg\.dev/vertex-ai(?:-restricted)?/prediction/(\w+)-(?:cpu|gpu|tpu)\.([\w-]+)(?:[:@](\S+))?$`)

func parsePrebuilt(image string) (prebuiltImage, bool) {
	m := prebuiltPattern.FindStringSubmatch(image)
	if m == nil {
		return prebuiltImage{}, false
	}
	return prebuiltImage{m[1], m[2], m[3]}, true
}

// ContainerNotice says what a user of a container image should know at this time
// about its support; "" for nothing.
func ContainerNotice(image string, now time.Time) string {
	container, ok := parsePrebuilt(image)
	if !ok {
		return ""
	}
	var notes []string
	if container.tag != "latest" {
		notes = append(notes, "Prebuilt containers are supported with the tag latest only.")
	}
	if s, known := prebuilt[container.framework+"."+container.version]; known {
		day := now.UTC().Format(time.DateOnly)
		switch {
		case s.available < day:
			notes = append(notes, fmt.Sprintf("It is no longer available since %s; its support ended on %s.", s.available, s.patched))
		case s.patched < day:
			notes = append(notes, fmt.Sprintf("Its patches and support ended on %s; it is available until %s.", s.patched, s.available))
		case s.patched < now.UTC().Add(warnedBefore).Format(time.DateOnly):
			notes = append(notes, fmt.Sprintf("Its patches and support end on %s; it is available until %s.", s.patched, s.available))
		}
	}
	if len(notes) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s What is current: %s", image, strings.Join(notes, " "), prebuiltPage)
}
