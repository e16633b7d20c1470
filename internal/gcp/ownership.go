// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Labels by which an object tells whose it is. They are never shown as the
// user's labels.
const (
	labelOwner       = "gcpml-owner"
	labelSpec        = "gcpml-spec"
	labelIncarnation = "gcpml-incarnation"
	markerPrefix     = "gcpml-"
	systemPrefix     = "goog-"
)

// Marker is what gcpml writes on an object that it makes.
type Marker struct {
	// Owner is the provider's ownership_id, "" when it has none.
	Owner string
	// Spec is the hash of the fields that cannot change after creation.
	Spec string
	// Incarnation is random: it tells this object from one that was made later
	// under the same name.
	Incarnation string
	// Attribution says when the label that tells of Terraform is added.
	Attribution Attribution `json:"-"`
}

// Attribution says which objects get the label goog-terraform-provisioned, as in
// terraform-provider-google. "" is none of them.
type Attribution string

// The strategies: an object gets the label when it is made (or first marked), or
// also when it is changed later.
const (
	AttributionCreationOnly Attribution = "CREATION_ONLY"
	AttributionProactive    Attribution = "PROACTIVE"
)

// Attributions are the values of terraform_attribution_label_addition_strategy.
var Attributions = []Attribution{AttributionCreationOnly, AttributionProactive}

const labelAttribution = systemPrefix + "terraform-provisioned"

// NewMarker returns the marker for an object that is about to be made. spec is
// anything that encoding/json renders the same each time.
func NewMarker(owner string, spec any) Marker {
	return Marker{Owner: owner, Spec: SpecHash(spec), Incarnation: NewIncarnation()}
}

// MarkerOf reads the marker from an object's labels.
func MarkerOf(labels map[string]string) Marker {
	return Marker{Owner: labels[labelOwner], Spec: labels[labelSpec], Incarnation: labels[labelIncarnation]}
}

// Labels returns the user's labels with the marker added.
func (m Marker) Labels(user map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, user)
	for k, v := range map[string]string{labelOwner: m.Owner, labelSpec: m.Spec, labelIncarnation: m.Incarnation} {
		if v != "" {
			all[k] = v
		}
	}
	if m.Attribution != "" {
		all[labelAttribution] = "true"
	}
	return all
}

// Merge returns what to write instead of the labels old: the user's labels with
// the marker added. Of what else is there only the keys in drop go: labels that
// others or Google itself set are left alone.
func (m Marker) Merge(old, user map[string]string, drop []string) map[string]string {
	all := map[string]string{}
	for k, v := range old {
		if !strings.HasPrefix(k, markerPrefix) && !slices.Contains(drop, k) {
			all[k] = v
		}
	}
	if m.Attribution == AttributionCreationOnly && MarkerOf(old) != (Marker{}) {
		m.Attribution = "" // it was marked before
	}
	maps.Copy(all, m.Labels(user))
	return all
}

// UserLabels returns the labels without markers and without those that Google
// sets itself ("goog-…"); nil when none are left.
func UserLabels(labels map[string]string) map[string]string {
	var user map[string]string
	for k, v := range labels {
		if strings.HasPrefix(k, markerPrefix) || strings.HasPrefix(k, systemPrefix) {
			continue
		}
		if user == nil {
			user = map[string]string{}
		}
		user[k] = v
	}
	return user
}

var (
	userLabelKey   = regexp.MustCompile(`^\p{Ll}[\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	userLabelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

// CheckLabel tells what is wrong with a label that a user wants to set.
func CheckLabel(key, value string) error {
	switch {
	case strings.HasPrefix(key, markerPrefix) || strings.HasPrefix(key, systemPrefix):
		return fmt.Errorf("the label key %q is reserved: keys that start with %s or %s are not for users", key, markerPrefix, systemPrefix)
	case !userLabelKey.MatchString(key):
		return fmt.Errorf("the label key %q must start with a lower-case letter and have at most 63 lower-case letters, digits, _ and -", key)
	case !userLabelValue.MatchString(value):
		return fmt.Errorf("the value %q of label %q must have at most 63 lower-case letters, digits, _ and -", value, key)
	}
	return nil
}

// Adoptable reports whether an existing object with the marker found may be
// taken over by one who would have created it with the marker wanted.
func (wanted Marker) Adoptable(found Marker) bool {
	return wanted.Incarnation == found.Incarnation && found.Incarnation != "" || // our own create, whose answer was lost
		wanted.Owner != "" && wanted.Owner == found.Owner && wanted.Spec == found.Spec
}

// ExistsError means that an object of that name exists and is not ours to take.
type ExistsError struct {
	// Kind and Name say what exists; ImportID is what `terraform import` takes.
	Kind     string
	Name     string
	ImportID string
	// Reason says why it was not adopted.
	Reason string
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s %s already exists and was not adopted: %s. To manage it, import it: terraform import <address> %q; otherwise choose another id or delete it", e.Kind, e.Name, e.Reason, e.ImportID)
}

// RefuseAdoption explains why Adoptable said no.
func (wanted Marker) RefuseAdoption(kind, name string, found Marker) *ExistsError {
	reason := "the provider has no ownership_id (" + ownershipVariable + "), so nothing is ever adopted"
	switch {
	case wanted.Owner == "":
	case found.Owner == "":
		reason = "it carries no " + labelOwner + " label"
	case found.Owner != wanted.Owner:
		reason = fmt.Sprintf("its %s label is %q, not %q", labelOwner, found.Owner, wanted.Owner)
	default:
		reason = "it is ours, but was made from another configuration of fields that cannot change"
	}
	return &ExistsError{Kind: kind, Name: name, ImportID: name, Reason: reason}
}

// SpecHash is a label-safe hash of v's JSON form.
func SpecHash(v any) string {
	sum := specSum(v)
	return hex.EncodeToString(sum[:10])
}

// SpecNumber is a hash of v's JSON form as 10 decimal digits without a leading
// zero, the form of a DeployedModel's id.
func SpecNumber(v any) string {
	sum := specSum(v)
	return fmt.Sprint(1_000_000_000 + binary.BigEndian.Uint64(sum[:8])%9_000_000_000)
}

func specSum(v any) [sha256.Size]byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("gcp: specification %T has no JSON form: %v", v, err))
	}
	return sha256.Sum256(b)
}

// NewIncarnation returns 16 random hexadecimal digits.
func NewIncarnation() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
