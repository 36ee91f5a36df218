package slacksim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault makes something go wrong on purpose, a number of times. Faults are tried in
// the order in which they were added; the first that fits is used up by one.
//
// Faults of calls have a Method ("*" fits all) and one of these kinds:
//
//	429                 status 429 with Retry-After and error ratelimited; nothing is done
//	500                 status Status (default 500), not JSON; nothing is done
//	error               ok false with Code; nothing is done
//	timeout             no answer until the caller gives up (or DelayMS passes: connection cut); nothing is done
//	close_before        the connection is cut; nothing is done
//	slow                done, and answered DelayMS later
//	lost_answer         done, then the connection is cut
//	lost_answer_hidden  the same, and a message posted so is in history and replies, and its event
//	                    comes, only DelayMS later (default 10,000)
//	late_timeout        done, but no answer until the caller gives up
//
// Faults of deliveries have Event true, may be for one inner event Type, and have one of these kinds:
//
//	double      the event comes twice, at about the same time
//	reorder     the event comes after the next one (or 2 s later)
//	drop_first  the first attempt gets lost; the retry comes
//	drop        the event never comes
//	delay       the event comes DelayMS later
type Fault struct {
	Method     string `json:"method,omitempty"`
	Event      bool   `json:"event,omitempty"`
	Type       string `json:"type,omitempty"`
	Kind       string `json:"kind"`
	Channel    string `json:"channel,omitempty"` // id; empty fits all
	Times      int    `json:"times,omitempty"`   // default 1; -1 for ever
	RetryAfter int    `json:"retryAfter,omitempty"`
	Code       string `json:"code,omitempty"`
	Status     int    `json:"status,omitempty"`
	DelayMS    int    `json:"delayMs,omitempty"`
	Hits       int    `json:"hits"` // how often it happened
}

var (
	callFaults  = []string{"429", "500", "error", "timeout", "close_before", "slow", "lost_answer", "lost_answer_hidden", "late_timeout"}
	eventFaults = []string{"double", "reorder", "drop_first", "drop", "delay"}
)

func (f *Fault) check() error {
	known := callFaults
	if f.Event {
		known = eventFaults
	} else if f.Method == "" {
		return fmt.Errorf("a fault needs method or event")
	}
	if !slices.Contains(known, f.Kind) {
		return fmt.Errorf("kind %q is not one of %v", f.Kind, known)
	}
	if f.Kind == "error" && f.Code == "" {
		return fmt.Errorf("a fault of kind error needs code")
	}
	if f.Times == 0 {
		f.Times = 1
	}
	return nil
}

func (f *Fault) delay() time.Duration {
	if f.DelayMS == 0 && f.Kind == "lost_answer_hidden" {
		return 10 * time.Second
	}
	return time.Duration(f.DelayMS) * time.Millisecond
}

// faultList has a lock of its own, for the deliverer asks it too.
type faultList struct {
	mu   sync.Mutex
	list []*Fault
}

func (l *faultList) add(f *Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, f)
}

func (l *faultList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// all returns copies, so that they can be read while faults go on happening.
func (l *faultList) all() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Fault, 0, len(l.list))
	for _, f := range l.list {
		out = append(out, *f)
	}
	return out
}

func (l *faultList) take(fits func(*Fault) bool) *Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.list {
		if f.Times < 0 || f.Hits < f.Times {
			if fits(f) {
				f.Hits++
				taken := *f
				return &taken
			}
		}
	}
	return nil
}

func (l *faultList) takeCall(method, channel string) *Fault {
	return l.take(func(f *Fault) bool {
		return !f.Event && (f.Method == "*" || f.Method == method) && (f.Channel == "" || f.Channel == channel)
	})
}

func (l *faultList) takeEvent(kind, channel string) *Fault {
	return l.take(func(f *Fault) bool {
		return f.Event && (f.Type == "" || f.Type == kind) && (f.Channel == "" || f.Channel == channel)
	})
}

// failBefore does what a fault does before the call; true means that it was all.
func (s *Server) failBefore(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch f.Kind {
	case "429":
		w.Header().Set("Retry-After", strconv.Itoa(max(f.RetryAfter, 1)))
		writeJSON(w, http.StatusTooManyRequests, fail("ratelimited").json())
	case "500":
		status := f.Status
		if status == 0 {
			status = http.StatusInternalServerError
		}
		http.Error(w, "<html><body>Server Error</body></html>", status)
	case "error":
		writeJSON(w, http.StatusOK, fail(f.Code).json())
	case "timeout":
		s.hold(r, f.delay())
		panic(http.ErrAbortHandler)
	case "close_before":
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// failAfter does what a fault does between the call and its answer. Aborting the
// handler is net/http's way to cut the connection without an answer.
func (s *Server) failAfter(r *http.Request, f *Fault) {
	switch f.Kind {
	case "slow":
		s.hold(r, f.delay())
	case "late_timeout":
		s.hold(r, f.delay())
		panic(http.ErrAbortHandler)
	case "lost_answer", "lost_answer_hidden":
		panic(http.ErrAbortHandler)
	}
}

// hold waits until the caller is gone, the time is over (0: never) or the simulator
// closes.
func (s *Server) hold(r *http.Request, wait time.Duration) {
	var over <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
	case <-s.done:
	case <-over:
	}
}
