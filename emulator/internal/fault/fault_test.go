// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to pass that %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (s *Set) only(t *testing.T) Fault {
	t.Helper()
	all := s.List()
	if len(all) != 1 {
		t.Fatalf("faults: %v", all)
	}
	return all[0]
}

func TestHoldKeepsTheReplyAfterTheEffect(t *testing.T) {
	s := NewSet()
	if _, err := s.Add(Spec{Method: "/pkg.Service/Deploy*", Nth: 2, Action: Hold}); err != nil {
		t.Fatal(err)
	}
	var effects atomic.Int32
	call := func(ctx context.Context, method string) error {
		_, err := s.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
			effects.Add(1)
			return "reply", nil
		})
		return err
	}
	if err := call(t.Context(), "/pkg.Service/Get"); err != nil {
		t.Fatal(err)
	}
	if err := call(t.Context(), "/pkg.Service/DeployModel"); err != nil { // the first match
		t.Fatal(err)
	}
	held := make(chan error)
	go func() { held <- call(t.Context(), "/pkg.Service/DeployModel") }()
	until(t, "the second call is held", func() bool { return s.only(t).Holding })
	if effects.Load() != 3 {
		t.Errorf("%d effects: the held call must have had its effect", effects.Load())
	}
	if f := s.only(t); !f.Fired || f.Seen != 2 {
		t.Errorf("%+v", f)
	}
	if !s.Remove(s.only(t).ID) {
		t.Error("Remove found nothing")
	}
	if err := <-held; err != nil {
		t.Errorf("the released call failed: %v", err)
	}
}

func TestHoldEndsWhenTheClientGoesAway(t *testing.T) {
	s := NewSet()
	if _, err := s.Add(Spec{Method: "/a/b", Action: Hold}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan error)
	go func() {
		_, err := s.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, func(ctx context.Context, _ any) (any, error) {
			cancel() // the client is killed while the call runs
			return nil, ctx.Err()
		})
		held <- err
	}()
	if err := <-held; status.Code(err) != codes.Canceled {
		t.Errorf("error %v, want Canceled", err)
	}
	until(t, "nothing is held", func() bool { return !s.only(t).Holding })
	if !s.only(t).Fired {
		t.Error("the fault has not fired")
	}
}

func TestMiddlewareHoldsHTTPReplies(t *testing.T) {
	s := NewSet()
	var effects atomic.Int32
	srv := httptest.NewServer(s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		effects.Add(1)
		w.Header().Set("X-Seen", string(body))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("done"))
	})))
	defer srv.Close()
	if _, err := s.Add(Spec{Method: "POST /bigquery/v2/*/jobs", Action: Hold}); err != nil {
		t.Fatal(err)
	}
	type reply struct {
		res *http.Response
		err error
	}
	replies := make(chan reply, 1)
	go func() {
		res, err := http.Post(srv.URL+"/bigquery/v2/projects/p/jobs", "text/plain", strings.NewReader("job"))
		replies <- reply{res, err}
	}()
	until(t, "the reply is held", func() bool { return s.only(t).Holding })
	if effects.Load() != 1 {
		t.Error("no effect before the reply")
	}
	s.Remove("")
	r := <-replies
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer r.res.Body.Close()
	body, _ := io.ReadAll(r.res.Body)
	if r.res.StatusCode != http.StatusAccepted || string(body) != "done" || r.res.Header.Get("X-Seen") != "job" {
		t.Errorf("the released reply: %d %q %v", r.res.StatusCode, body, r.res.Header)
	}
}

// A rate limit lets as many calls pass in any second, and those that it refused do
// not count.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet()
		if _, err := s.Add(Spec{Method: "/a/*", PerSecond: 3, Action: Fail, Status: &Status{Code: "RESOURCE_EXHAUSTED"}}); err != nil {
			t.Fatal(err)
		}
		got := ""
		call := func(n int) {
			for range n {
				_, err := s.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, func(context.Context, any) (any, error) { return "reply", nil })
				switch status.Code(err) {
				case codes.OK:
					got += "+"
				case codes.ResourceExhausted:
					got += "-"
				default:
					t.Fatal(err)
				}
			}
			got += " "
		}
		call(2)
		time.Sleep(600 * time.Millisecond)
		call(3)
		time.Sleep(500 * time.Millisecond) // the first two are out of sight, the third is not
		call(4)
		time.Sleep(time.Second)
		call(4)
		if want := "++ +-- ++-- +++- "; got != want {
			t.Errorf("passed %q, want %q", got, want)
		}
		if f := s.only(t); f.Seen != 13 || f.Count != 5 || f.Remaining != Always || !f.Completed {
			t.Errorf("%+v", f)
		}
	})
}

func TestControl(t *testing.T) {
	s := NewSet()
	do := func(method, target, body string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for body, part := range map[string]string{
		`{}`: "method", `{"method": "/a", "action": "explode"}`: "explode", `{"method": "/a", "action": "hold", "nth": -1}`: "nth",
		`{"method": "/a", "action": "hold", "colour": 1}`: "colour", `[`: "",
	} {
		if code, text := do(http.MethodPost, "/", body); code != http.StatusBadRequest || !strings.Contains(text, part) {
			t.Errorf("POST %s: %d %s", body, code, text)
		}
	}
	if code, text := do(http.MethodPost, "/", `{"method": "/a", "action": "hold"}`); code != http.StatusCreated || !strings.Contains(text, `"nth": 1`) {
		t.Errorf("POST: %d %s", code, text)
	}
	if code, _ := do(http.MethodDelete, "/?id=77", ""); code != http.StatusNotFound {
		t.Errorf("DELETE of none: %d", code)
	}
	if code, _ := do(http.MethodDelete, "/?id=1", ""); code != http.StatusNoContent || len(s.List()) != 0 {
		t.Errorf("DELETE: %d, left %v", code, s.List())
	}
	if code, _ := do(http.MethodPut, "/", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", code)
	}
}
