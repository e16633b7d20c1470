// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"math/bits"
	"strings"
)

// limits are the sizes that the endpoint and the model call for, in rows and bytes.
type limits struct {
	batch    int64 // rows of one request
	ordinary int64 // a row of at most this many bytes goes with any others
}

func limitsOf(maxBatchingRows int64) limits {
	batch := int64(batchRows)
	if maxBatchingRows > 0 {
		batch = maxBatchingRows
	}
	return limits{batch: batch, ordinary: requestFor / batch}
}

// chunk is a part of the rows that is finished before the next one begins.
type chunk struct {
	number    int64
	low, high int64 // the range of its rows' hashes, both included
	// hashes are its rows if it is a pack of large ones, else nil: all ordinary rows
	// of the range.
	hashes []int64
}

// ordinaryChunks divides the hashes of n ordinary rows into ranges of about size rows:
// hashes are spread evenly.
func ordinaryChunks(n, size int64) []chunk {
	count := uint64((n + size - 1) / size) //nolint:gosec // not negative
	chunks := make([]chunk, count)
	// bound is the first hash of a chunk, counted from the least int64.
	bound := func(i uint64) uint64 {
		b, _ := bits.Div64(i, 0, count) // i * 2^64 / count
		return b
	}
	for i := range count {
		last := ^uint64(0)
		if i+1 < count {
			last = bound(i+1) - 1
		}
		chunks[i] = chunk{number: int64(i), low: signed(bound(i)), high: signed(last)} //nolint:gosec // a count of chunks
	}
	return chunks
}

// signed maps 0 to the least int64, and so on in order.
func signed(u uint64) int64 { return int64(u ^ 1<<63) } //nolint:gosec // meant

// measured is a row whose size matters.
type measured struct{ hash, bytes int64 }

// packs divides large rows, given by rising hash, into chunks that are one request
// each. first is the number of the first chunk.
func packs(rows []measured, l limits, first int64) []chunk {
	var chunks []chunk
	var bytes int64
	for _, r := range rows {
		n := len(chunks) - 1
		if n < 0 || bytes+r.bytes > requestFor || int64(len(chunks[n].hashes)) == l.batch {
			chunks = append(chunks, chunk{number: first + int64(len(chunks)), low: r.hash})
			n, bytes = n+1, 0
		}
		c := &chunks[n]
		c.hashes, c.high = append(c.hashes, r.hash), r.hash
		bytes += r.bytes
	}
	return chunks
}

// maxRetryJobs bounds how many jobs one round of retries takes.
const maxRetryJobs = 64

// retrySize is how many rows a job of a retry round (from 1) has, if pending rows are
// left: a quarter of a request, then a quarter of that, down to single rows, but not
// so few that the round takes too many jobs.
func retrySize(pending int, round int64, l limits) int {
	size := int(max(1, l.batch>>min(2*round, 62)))
	return max(size, (pending+maxRetryJobs-1)/maxRetryJobs)
}

// split cuts rows into jobs.
func split[T any](rows []T, size int) [][]T {
	var jobs [][]T
	for ; len(rows) > size; rows = rows[size:] {
		jobs = append(jobs, rows[:size:size])
	}
	return append(jobs, rows)
}

// retryable reports whether a status asks for another try. A row without any status
// has an incomplete prediction, which may pass too.
func retryable(status string) bool {
	return status == "" || strings.HasPrefix(strings.ToLower(status), "a retryable error occurred")
}

// hopeless reports whether rows that failed in jobs of that size will fail again:
// each was alone in its request and none was refused for a passing reason.
func hopeless(rows []pending, size int) bool {
	if size != 1 {
		return false
	}
	for _, r := range rows {
		if retryable(r.status) {
			return false
		}
	}
	return true
}

// pending is a row of a chunk without a good prediction.
type pending struct {
	hash   int64
	status string // of its last try
}
