// Command victim comes to the points named by its arguments, one after another, and says so.
package main

import (
	"fmt"
	"os"

	"github.com/ochrehq/ochre/internal/fault"
)

func main() {
	for _, p := range os.Args[1:] {
		fault.Hit(fault.Point(p))
		fmt.Println(p)
	}
}
