package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/store"
)

// counters are the metrics of what goes in and out. Label values come from fixed lists.
type counters struct {
	in, done, out  *prometheus.CounterVec
	opened, closed *prometheus.CounterVec
	running        *prometheus.GaugeVec
	bytes          *prometheus.CounterVec
}

func newCounters(r *prometheus.Registry, s *store.Store, log *slog.Logger) *counters {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	c := &counters{
		in:      vec("ochre_slack_events_total", "Events at the door by what became of them.", "outcome"),
		done:    vec("ochre_slack_events_applied_total", "Stored events by what they changed.", "outcome"),
		out:     vec("ochre_slack_outbound_total", "Steps of replies on their way to Slack.", "event"),
		opened:  vec("ochre_sockets_opened_total", "Connections of subscribers.", "transport"),
		closed:  vec("ochre_sockets_closed_total", "Ended connections by close code.", "transport", "code"),
		bytes:   vec("ochre_socket_bytes_total", "Bytes sent to subscribers.", "transport"),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ochre_socket_operations", Help: "Running operations."}, []string{"transport"}),
	}
	r.MustRegister(c.in, c.done, c.out, c.opened, c.closed, c.bytes, c.running, &depths{s, log,
		prometheus.NewDesc("ochre_queue_items", "Items in the durable queues; dead ones were given up.", []string{"queue", "state"}, nil)})
	return c
}

func (c *counters) received(outcome string) { c.in.WithLabelValues(outcome).Inc() }
func (c *counters) applied(outcome string)  { c.done.WithLabelValues(outcome).Inc() }
func (c *counters) outbound(event string)   { c.out.WithLabelValues(event).Inc() }

func (c *counters) sockets() socket.Metrics {
	return socket.Metrics{
		Opened:    func(transport string) { c.opened.WithLabelValues(transport).Inc() },
		Closed:    func(transport string, code int) { c.closed.WithLabelValues(transport, strconv.Itoa(code)).Inc() },
		Operation: func(transport string, delta int) { c.running.WithLabelValues(transport).Add(float64(delta)) },
		Sent:      func(transport string, bytes int) { c.bytes.WithLabelValues(transport).Add(float64(bytes)) },
	}
}

// depths reads the queues' depths when it is asked.
type depths struct {
	store *store.Store
	log   *slog.Logger
	desc  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (d *depths) Describe(ch chan<- *prometheus.Desc) { ch <- d.desc }

// Collect implements prometheus.Collector.
func (d *depths) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	qs, err := d.store.QueueDepths(ctx)
	if err != nil {
		d.log.Warn("queue depths could not be read", "error", err)
		return
	}
	for _, q := range qs {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(q.Waiting), string(q.Queue), "waiting")
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(q.Dead), string(q.Queue), "dead")
	}
}
