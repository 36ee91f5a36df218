package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the HTTP side does. A nil *Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

// NewMetrics registers the HTTP side's metrics. It panics where they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ochre_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ochre_http_request_seconds", Help: "Time to answer, without sockets and event streams.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ochre_graphql_errors_total", Help: "Errors shown to GraphQL clients, by code.",
		}, []string{"code"}),
	}
	r.MustRegister(m.requests, m.seconds, m.errors)
	return m
}

// MetricsHandler serves a registry in Prometheus' text format.
func MetricsHandler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{})
}

func (m *Metrics) graphqlError(code string) {
	if m != nil {
		m.errors.WithLabelValues(code).Inc()
	}
}

// request counts an answered request. route is the pattern that served it, not the path, of which strangers can make any number.
func (m *Metrics) request(route string, status int, took time.Duration, streamed bool) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if !streamed {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}
