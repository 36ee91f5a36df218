package live_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
)

// BenchmarkCommitToSubscriber measures from the end of a commit to the event, with its objects, in the hands of the last of ten subscribers: on the
// same node, and on another. The aim is 20 ms for 99 of 100 on one node.
func BenchmarkCommitToSubscriber(b *testing.B) {
	for _, where := range []string{"same node", "other node"} {
		b.Run(where, func(b *testing.B) {
			p := newPlace(b)
			committed := make(chan time.Time, 1)
			writer := p.node(options{redis: testenv.Redis(b), tell: func(on told) told {
				return func(tenant ochre.ID, events []ochre.Event) {
					committed <- time.Now()
					on(tenant, events)
				}
			}})
			reader := writer
			if where == "other node" {
				reader = p.node(options{redis: testenv.Redis(b)})
			}
			eventually(b, "Redis", func() bool { return writer.bus.Up() && reader.bus.Up() })
			c := p.Conversation(fixture.Noon)
			var screens []*screen
			for range 10 {
				s := reader.open(nil, -1)
				s.expect("CaughtUp 0")
				screens = append(screens, s)
			}
			var took []time.Duration
			for b.Loop() {
				writer.write(c)
				for _, s := range screens {
					s.next()
				}
				took = append(took, time.Since(<-committed))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
		})
	}
}
