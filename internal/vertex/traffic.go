// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"maps"
	"slices"
)

// splitWithNewcomer leaves the traffic as it is, or, all at once, gives the new
// deployment what those that it replaces have. The first model of an endpoint gets
// all of it, since a split cannot sum to less.
func splitWithNewcomer(traffic map[string]int32, strategy Strategy, replaced []Deployed) map[string]int32 {
	if sum(traffic) == 0 {
		return map[string]int32{newcomer: 100}
	}
	split := maps.Clone(traffic)
	split[newcomer] = 0
	if strategy == AllAtOnce {
		for _, d := range replaced {
			split[newcomer] += split[d.ID]
			delete(split, d.ID)
		}
	}
	maps.DeleteFunc(split, func(id string, share int32) bool { return share == 0 && id != newcomer }) // they may name what is gone
	return split
}

// splitWithout gives the traffic of some deployments to the others of ours: to
// those that stay, as configured; else to those that go later. What others deployed
// keeps its share, unless it is all that is left.
func splitWithout(have *Endpoint, want target, current map[string]Deployed, without []Deployed) map[string]int32 {
	foreign := foreignSplit(have, want)
	rest := map[string]int32{}
	for key, d := range current {
		rest[d.ID] = want.traffic[key]
	}
	if sum(rest) == 0 {
		rest = maps.Clone(have.Traffic)
		for id := range foreign {
			delete(rest, id)
		}
		for _, d := range without {
			delete(rest, d.ID)
		}
	}
	if sum(rest) == 0 {
		return scale(foreign, 100)
	}
	split := scale(rest, 100-sum(foreign))
	maps.Copy(split, foreign)
	return split
}

// foreignSplit is the traffic of what others deployed, by id.
func foreignSplit(have *Endpoint, want target) map[string]int32 {
	return trafficOf(have, slices.DeleteFunc(slices.Clone(have.Deployed), want.ours))
}

// nextSplit is the next split on the way to the final one. A deployment that
// replaces another gets its part of their common traffic in steps; everything else
// is final at once. patient tells that it has a part already, which is to be
// watched before it grows. Going back to what served before takes no steps.
func nextSplit(have *Endpoint, want target, current map[string]Deployed, leaving map[string][]Deployed, final map[string]int32) (split map[string]int32, patient bool) {
	split = maps.Clone(final)
	for key, d := range current {
		old := trafficOf(have, leaving[key])
		if sum(old) == 0 || slices.ContainsFunc(leaving[key], d.olderThan) {
			continue
		}
		share, total := have.Traffic[d.ID], final[d.ID]
		grown := total
		for _, percent := range want.steps {
			if part := (total*percent + 99) / 100; part > share {
				grown = part
				break
			}
		}
		split[d.ID] = grown
		maps.Copy(split, scale(old, total-grown))
		patient = patient || share > 0
	}
	return split, patient
}

// trafficOf is the traffic that these deployments have, by id.
func trafficOf(have *Endpoint, of []Deployed) map[string]int32 {
	traffic := map[string]int32{}
	for _, d := range of {
		if share := have.Traffic[d.ID]; share > 0 {
			traffic[d.ID] = share
		}
	}
	return traffic
}

// finalSplit is the traffic split in the end, by id. What others deployed keeps
// its share, and ours is divided as the configuration says. When nothing of ours
// is to stay, the others take over its share.
func finalSplit(have *Endpoint, want target, current map[string]Deployed) map[string]int32 {
	foreign := foreignSplit(have, want)
	if len(current) == 0 {
		return scale(foreign, 100)
	}
	split := map[string]int32{}
	for key, share := range scale(want.traffic, 100-sum(foreign)) {
		split[current[key].ID] = share
	}
	maps.Copy(split, foreign)
	return split
}

// scale divides total in proportion to shares: exact, and the same each time.
// Shares of 0 are left out.
func scale[K cmp.Ordered](shares map[K]int32, total int32) map[K]int32 {
	out := map[K]int32{}
	all := sum(shares)
	if all == 0 || total <= 0 {
		return out
	}
	left := total
	for k, v := range shares {
		out[k] = v * total / all
		left -= out[k]
	}
	// The rest goes, one each, to those that rounding took most from.
	order := slices.SortedFunc(maps.Keys(shares), func(a, b K) int {
		return cmp.Or(cmp.Compare(shares[b]*total%all, shares[a]*total%all), cmp.Compare(a, b))
	})
	for _, k := range order[:left] {
		out[k]++
	}
	maps.DeleteFunc(out, func(_ K, v int32) bool { return v == 0 })
	return out
}

func sum[K comparable](m map[K]int32) (total int32) {
	for _, v := range m {
		total += v
	}
	return total
}

// sameSplit compares splits; a share of 0 is as good as none.
func sameSplit(a, b map[string]int32) bool {
	for _, m := range []map[string]int32{a, b} {
		for id := range m {
			if a[id] != b[id] {
				return false
			}
		}
	}
	return true
}

// ForeignTraffic is the percentage that goes to models which are not ours.
func ForeignTraffic(e *Endpoint, ours func(Deployed) bool) (percent int32) {
	for _, d := range e.Deployed {
		if !ours(d) {
			percent += e.Traffic[d.ID]
		}
	}
	return percent
}

// Shares divides what foreign models leave of the traffic as wanted says. It is
// what a rollout aims at, by key and without zeros.
func Shares(wanted map[string]int32, foreign int32) map[string]int32 {
	return scale(wanted, 100-foreign)
}
