// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

var reservationTypes = map[string]attr.Type{
	"reservation_affinity_type": types.StringType, "key": types.StringType, "values": types.ListType{ElemType: types.StringType},
}

var openModelTypes = map[string]attr.Type{
	"hugging_face_model_id": types.StringType, "model_garden_model_name": types.StringType, "hugging_face_token_wo": types.StringType,
	"hugging_face_token_wo_version": types.StringType, "machine_type": types.StringType, "min_replica_count": types.Int64Type,
	"max_replica_count": types.Int64Type, "reservation_affinity": types.ObjectType{AttrTypes: reservationTypes},
	"endpoint_idle_ttl": types.StringType, "deploy_model": types.BoolType,
}

// openModel is open_model; any part can be unknown.
type openModel struct {
	given                                                        bool // known, and not null
	HuggingFaceID, ModelGarden, Token, TokenVersion, MachineType types.String
	MinReplicas, MaxReplicas                                     types.Int64
	Reservation                                                  types.Object
	IdleTTL                                                      types.String
	Deploy                                                       types.Bool
}

// as is an attribute of an object, its type's zero value, which is null, if there is none.
func as[T attr.Value](o types.Object, name string) T {
	v, _ := o.Attributes()[name].(T)
	return v
}

func openModelOf(o types.Object) openModel {
	return openModel{
		given:         isKnown(o),
		HuggingFaceID: as[types.String](o, "hugging_face_model_id"), ModelGarden: as[types.String](o, "model_garden_model_name"),
		Token: as[types.String](o, "hugging_face_token_wo"), TokenVersion: as[types.String](o, "hugging_face_token_wo_version"),
		MachineType: as[types.String](o, "machine_type"), MinReplicas: as[types.Int64](o, "min_replica_count"), MaxReplicas: as[types.Int64](o, "max_replica_count"),
		Reservation: as[types.Object](o, "reservation_affinity"), IdleTTL: as[types.String](o, "endpoint_idle_ttl"), Deploy: as[types.Bool](o, "deploy_model"),
	}
}

// object is the state's form, which never has the token.
func (o openModel) object() types.Object {
	reservation := o.Reservation
	if reservation.IsNull() || reservation.IsUnknown() {
		reservation = types.ObjectNull(reservationTypes)
	}
	return types.ObjectValueMust(openModelTypes, map[string]attr.Value{
		"hugging_face_model_id": o.HuggingFaceID, "model_garden_model_name": o.ModelGarden, "hugging_face_token_wo": types.StringNull(),
		"hugging_face_token_wo_version": o.TokenVersion, "machine_type": o.MachineType, "min_replica_count": o.MinReplicas,
		"max_replica_count": o.MaxReplicas, "reservation_affinity": reservation, "endpoint_idle_ttl": o.IdleTTL, "deploy_model": o.Deploy,
	})
}

type reservation struct {
	given     bool
	Type, Key types.String
	Values    types.List
}

func (o openModel) reservation() reservation {
	r := reservation{isKnown(o.Reservation), as[types.String](o.Reservation, "reservation_affinity_type"), as[types.String](o.Reservation, "key"), as[types.List](o.Reservation, "values")}
	return r
}

// idleTTL is 0 if there is none.
func (o openModel) idleTTL() (time.Duration, error) {
	if !isKnown(o.IdleTTL) {
		return 0, nil
	}
	d, err := time.ParseDuration(o.IdleTTL.ValueString())
	if err != nil || d < bqml.MinIdleTTL || d > bqml.MaxIdleTTL || d%time.Minute != 0 {
		return 0, fmt.Errorf("%q is not a duration of whole minutes between 390m and 168h, such as \"8h\"", o.IdleTTL.ValueString())
	}
	return d, nil
}

// toSpec is nil if there is none. token comes from the configuration.
func (o openModel) toSpec(token types.String) *bqml.OpenModel {
	if !o.given {
		return nil
	}
	ttl, _ := o.idleTTL() // validate has reported what does not parse
	r := o.reservation()
	return &bqml.OpenModel{
		HuggingFaceID: o.HuggingFaceID.ValueString(), ModelGarden: o.ModelGarden.ValueString(), Token: token.ValueString(),
		MachineType: o.MachineType.ValueString(), MinReplicas: o.MinReplicas.ValueInt64(), MaxReplicas: o.MaxReplicas.ValueInt64(),
		Reservation: bqml.Reservation{Type: r.Type.ValueString(), Key: r.Key.ValueString(), Values: texts(r.Values)},
		IdleTTL:     ttl,
	}
}

func texts(list types.List) (values []string) {
	for _, e := range list.Elements() {
		s, _ := e.(types.String)
		values = append(values, s.ValueString())
	}
	return values
}

// read takes what the server has: which model it is, and of the rest what the state
// names. After an import it names nothing yet, and all is taken.
func (o openModel) read(have *bqml.OpenModel) openModel {
	all := !o.given
	text := func(v *types.String, have string) {
		if all || !v.IsNull() {
			*v = types.StringNull()
			if have != "" {
				*v = types.StringValue(have)
			}
		}
	}
	number := func(v *types.Int64, have int64) {
		if (all || !v.IsNull()) && have != 0 {
			*v = types.Int64Value(have)
		}
	}
	o.HuggingFaceID, o.ModelGarden = types.StringNull(), types.StringNull()
	if have.HuggingFaceID != "" {
		o.HuggingFaceID = types.StringValue(have.HuggingFaceID)
	}
	if have.ModelGarden != "" {
		o.ModelGarden = types.StringValue(have.ModelGarden)
	}
	if have.MachineType != "" {
		text(&o.MachineType, have.MachineType)
	}
	number(&o.MinReplicas, have.MinReplicas)
	number(&o.MaxReplicas, have.MaxReplicas)
	if ttl, _ := o.idleTTL(); have.IdleTTL != 0 && ttl != have.IdleTTL {
		text(&o.IdleTTL, strconv.FormatInt(int64(have.IdleTTL/time.Second), 10)+"s")
	}
	r := o.reservation()
	switch {
	case have.Reservation.Type == "" || !r.given && (!all || have.Reservation.Type == bqml.ReservationTypes[0]):
	case have.Reservation.Type != r.Type.ValueString() || have.Reservation.Key != r.Key.ValueString() || !slices.Equal(have.Reservation.Values, texts(r.Values)):
		o.Reservation = reservationObject(have.Reservation)
	}
	return o
}

func reservationObject(r bqml.Reservation) types.Object {
	key, values := types.StringNull(), types.ListNull(types.StringType)
	if r.Key != "" {
		key = types.StringValue(r.Key)
	}
	if len(r.Values) > 0 {
		elements := make([]attr.Value, len(r.Values))
		for i, v := range r.Values {
			elements[i] = types.StringValue(v)
		}
		values = types.ListValueMust(types.StringType, elements)
	}
	return types.ObjectValueMust(reservationTypes, map[string]attr.Value{"reservation_affinity_type": types.StringValue(r.Type), "key": key, "values": values})
}
