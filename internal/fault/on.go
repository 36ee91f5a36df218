//go:build faults

package fault

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// variable is where the point is named.
const variable = "OCHRE_FAULT"

// planned is the point at which this process ends, and how often it must still be come to. There is one process, so it is a variable.
var (
	planned Point
	left    atomic.Int64
)

func init() {
	if text := os.Getenv(variable); text != "" {
		if err := plan(text); err != nil {
			fmt.Fprintf(os.Stderr, "%s=%s: %v\n", variable, text, err)
			os.Exit(2)
		}
	}
}

func plan(text string) error {
	name, times, counted := strings.Cut(text, ":")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(times); err != nil || n < 1 {
			return errors.New("after the colon stands the number of the time, 1 or more")
		}
	}
	if !slices.Contains(All, Point(name)) {
		return fmt.Errorf("no such point; there are %v", All)
	}
	planned = Point(name)
	left.Store(int64(n))
	return nil
}

// Hit ends the process if it has come to the planned point for the planned time, and tells so on stderr first.
func Hit(p Point) {
	if p != planned || left.Add(-1) != 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "fault: %s\n", p)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // the signal is on its way: nothing more happens here
}
