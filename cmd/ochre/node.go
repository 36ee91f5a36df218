package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/resolvers"
	"github.com/ochrehq/ochre/server"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/store"
)

// endLimit is how long a node that is told to end may take: the supervisor kills after 10 s.
const endLimit = 9500 * time.Millisecond

// Requests of one agent.
const (
	requestsPerSecond = 50
	requestBurst      = 200
)

// node is one Ochre process: everything that runs, and what ends with it.
type node struct {
	config config
	log    *slog.Logger
	store  *store.Store
	desk   *desk.Desk
	server *server.Server
	hub    *live.Hub
	inbox  *slackbridge.Inbox

	workers []func(context.Context) // begin to end when the node is told to
	loops   []func(context.Context) // end when nothing needs them any more
	close   []func()

	registry *prometheus.Registry
	metrics  net.Listener // of /metrics alone; nil for none
}

// newNode builds a node in the order in which its parts need one another. Nothing runs yet.
func newNode(ctx context.Context, c config, log *slog.Logger, ready ...server.Check) (*node, error) {
	n := &node{config: c, log: log, registry: prometheus.NewRegistry()}
	if err := n.build(ctx, ready); err != nil {
		n.shut()
		return nil, err
	}
	return n, nil
}

func (n *node) build(ctx context.Context, ready []server.Check) error {
	c, log := n.config, n.log
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	keys, err := secret.New(c.SecretKey, c.SecretKeyOld...)
	if err != nil {
		return usageError{err}
	}
	runners := map[store.Queue]*store.Runner{}
	epoch, err := n.openStore(ctx, runners)
	if err != nil {
		return err
	}
	rdb, bus, err := n.redis(ctx)
	if err != nil {
		return err
	}
	client, err := slackbridge.NewClient(slackbridge.ClientOptions{APIURL: c.SlackAPIURL, Keys: keys, Refused: n.tokenRefused})
	if err != nil {
		return usageError{err}
	}
	n.close = append(n.close, client.Close)
	n.desk = &desk.Desk{Store: n.store, Cursors: live.NewCursors(keys, epoch), Keys: keys, Slack: client, PublicURL: c.PublicURL, Now: time.Now}
	n.hub = live.NewHub(n.store, n.desk.Cursors, bus, log)
	channels := slackbridge.NewChannels(client, n.store, n.desk, log)
	count := newCounters(n.registry, n.store, log)

	n.inbox = slackbridge.NewInbox(slackbridge.InboxOptions{Store: n.store, Now: time.Now, Count: count.received, Log: log})
	ingest := &slackbridge.Ingest{Desk: n.desk, Log: log, Count: count.applied}
	sender := &slackbridge.Sender{Desk: n.desk, Client: client, Pace: slackbridge.DefaultPace, Log: log, Count: count.outbound}
	jobs := &slackbridge.Jobs{Desk: n.desk, Client: client, Channels: channels, Log: log}
	runners[store.QueueInbound] = ingest.Runner(n.store, 6)
	runners[store.QueueOutbound] = sender.Runner(n.store, 16)
	runners[store.QueueJob] = jobs.Runner(n.store, 4)
	for _, r := range runners {
		n.workers = append(n.workers, r.Run)
	}
	n.loops = append(n.loops, channels.Run, n.hub.Run, n.wakeLoop, n.tidyLoop)
	n.buildServer(client, channels, count, newLimiter(rdb, bus), ready)
	return nil
}

// buildServer builds the server over what was built before.
func (n *node) buildServer(client *slackbridge.Client, channels *slackbridge.Channels, count *counters, limiter server.Limiter, ready []server.Check) {
	c, log := n.config, n.log
	resolver := &resolvers.Resolver{Store: n.store, Desk: n.desk, Live: n.hub, PublicURL: c.PublicURL}
	metrics := server.NewMetrics(n.registry)
	executor := server.NewExecutor(resolver.Schema(), server.ExecutorOptions{Logger: log, Metrics: metrics})
	executor.Use(resolver.Loaders())
	auth := server.NewAuth(n.store, n.desk)
	oauth := slackbridge.NewOAuth(n.desk, client, slackbridge.OAuthOptions{
		ClientID: c.SlackClientID, ClientSecret: c.SlackSecret, Log: log, Installed: func(*ochre.SlackInstallation) { channels.Due() },
	})
	n.server = server.New(server.Config{
		Auth: auth, Executor: executor, Logger: log, Metrics: metrics, PublicURL: c.PublicURL, Limiter: limiter,
		Socket: socket.New(socket.Options{Executor: socket.NewGQLGenExecutor(executor), Auth: auth, CheckInterval: 5 * time.Second, Metrics: count.sockets(), Logger: log}),
		SlackEvents: slackbridge.NewEvents(slackbridge.EventsOptions{
			SigningSecret: c.SlackSigning, Inbox: n.inbox, Now: time.Now, Count: count.received, Log: log,
		}),
		SlackInstall: oauth, SlackCallback: oauth, Files: slackbridge.NewFiles(n.store, client, log),
		Ready:    append([]server.Check{{Name: "database", Func: n.store.Ping}}, ready...),
		Gatherer: n.registry, MetricsToken: c.MetricsToken,
	})
}

// openStore opens the database, checks its schema, and gives the epoch of its event log. Runners may be added later.
func (n *node) openStore(ctx context.Context, runners map[store.Queue]*store.Runner) (epoch string, err error) {
	n.store, err = openStore(ctx, n.config.DatabaseURL, store.Options{
		Wake: func(q store.Queue) {
			if r := runners[q]; r != nil {
				r.Wake()
			}
		},
		Committed: func(t ochre.ID, e []ochre.Event) {
			if n.hub != nil {
				n.hub.Publish(t, e)
			}
		},
	}, n.log)
	if err != nil {
		return epoch, err
	}
	n.close = append(n.close, n.store.Close)
	if err := n.store.CheckSchema(ctx); errors.Is(err, store.ErrSchemaOlder) {
		return epoch, fmt.Errorf("%w; run `ochre migrate`, or start with --migrate", err)
	} else if err != nil {
		return epoch, err
	}
	return n.store.LogEpoch(ctx)
}

// redis connects to Redis, which may come later. Without a URL the node is alone.
func (n *node) redis(ctx context.Context) (*redis.Client, *live.RedisBus, error) {
	o, err := n.config.redis()
	if err != nil {
		return nil, nil, err
	}
	if o == nil {
		n.log.Warn("REDIS_URL is not set: events of other nodes are seen within about a second")
		return nil, nil, nil
	}
	redis.SetLogger(redisLog{n.log})
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	c := redis.NewClient(o)
	n.close = append(n.close, func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	switch err := c.Ping(ctx).Err(); {
	case err == nil:
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		return nil, nil, fmt.Errorf("redis at %s refuses: %w", o.Addr, err)
	default:
		n.log.Warn("redis is not there yet; live updates go on by reading the log", "addr", o.Addr, "reason", whyNot(err))
	}
	return c, live.NewRedisBus(c, n.log), nil
}

// redisLog is what go-redis has to say of its connections, which the bus tells better.
type redisLog struct{ log *slog.Logger }

// Printf implements go-redis's logging.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...))
}

// tokenRefused disconnects an installation whose token Slack does not take any more.
func (n *node) tokenRefused(ctx context.Context, inst *ochre.SlackInstallation, code string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := n.desk.TokenRefused(ctx, inst, code); err != nil {
		n.log.Warn("an installation could not be marked as disconnected", "slack_team", inst.SlackTeamID, "error", err)
	}
}

// run serves on a listener until ctx ends, then stops in the order in which nothing is lost: requests and what workers have in hand first,
// then what these need. What takes longer than endLimit is left: its lane is free again when the lease ends.
func (n *node) run(ctx context.Context, l net.Listener) error {
	working, rest := context.WithCancel(ctx)
	defer rest()
	told := make(chan time.Time, 1)
	context.AfterFunc(working, func() { told <- time.Now() })
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers, loops sync.WaitGroup
	for _, w := range n.workers {
		workers.Go(func() { w(working) })
	}
	n.startLoops(background, &loops)
	n.log.Info("serving", "addr", l.Addr().String(), "url", n.config.PublicURL)
	err := server.Run(ctx, l, n.server, n.log)
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		n.log.Warn("requests that did not end in time were cut", "error", err)
		err = nil
	}
	rest()
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		stop()
		loops.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Until((<-told).Add(endLimit))):
		n.log.Warn("ended with work in hand; it goes on when its leases have ended")
	}
	n.shut()
	n.log.Info("ended")
	return err
}

func (n *node) startLoops(ctx context.Context, loops *sync.WaitGroup) {
	for _, loop := range n.loops {
		loops.Go(func() { loop(ctx) })
	}
	loops.Go(func() {
		if err := n.inbox.Run(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("the inbox ended", "error", err)
		}
	})
	loops.Go(func() {
		if done, err := n.desk.ResealTokens(ctx); err != nil || done > 0 {
			n.log.Info("tokens sealed by the current key", "count", done, "error", err)
		}
	})
	if n.metrics != nil {
		loops.Go(func() { n.serveMetrics(ctx) })
	}
}

func (n *node) serveMetrics(ctx context.Context) {
	srv := &http.Server{Handler: server.MetricsHandler(n.registry), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(n.metrics); !errors.Is(err, http.ErrServerClosed) {
		n.log.Error("metrics are not served any more", "error", err)
	}
}

// shut closes what was opened, the last first.
func (n *node) shut() {
	for i := len(n.close) - 1; i >= 0; i-- {
		n.close[i]()
	}
	n.close = nil
}
