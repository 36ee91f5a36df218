package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
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

// databaseWait is how long a node waits at start for its database.
const databaseWait = 30 * time.Second

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
	loops  []func(context.Context)
	close  []func()

	registry *prometheus.Registry
}

// newNode builds a node in the order in which its parts need one another. Nothing runs yet.
func newNode(ctx context.Context, c config, log *slog.Logger, ready ...server.Check) (n *node, err error) {
	n = &node{config: c, log: log, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			n.shut()
		}
	}()
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	keys, err := secret.New(c.SecretKey, c.SecretKeyOld...)
	if err != nil {
		return nil, usageError{err}
	}
	runners := map[store.Queue]*store.Runner{}
	wake := func(q store.Queue) {
		if r := runners[q]; r != nil {
			r.Wake()
		}
	}
	n.store, err = store.Open(ctx, c.DatabaseURL, store.Options{
		Wake: wake,
		Committed: func(t ochre.ID, e []ochre.Event) {
			if n.hub != nil {
				n.hub.Publish(t, e)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	n.close = append(n.close, n.store.Close)
	if err := waitForDatabase(ctx, n.store, c.DatabaseURL, log); err != nil {
		return nil, err
	}
	if err := n.store.CheckSchema(ctx); errors.Is(err, store.ErrSchemaOlder) {
		return nil, fmt.Errorf("%w; run `ochre migrate`, or start with --migrate", err)
	} else if err != nil {
		return nil, err
	}
	epoch, err := n.store.LogEpoch(ctx)
	if err != nil {
		return nil, err
	}
	rdb, bus, err := n.redis(ctx)
	if err != nil {
		return nil, err
	}
	client, err := slackbridge.NewClient(slackbridge.ClientOptions{APIURL: c.SlackAPIURL, Keys: keys, Refused: n.tokenRefused})
	if err != nil {
		return nil, usageError{err}
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
		n.loops = append(n.loops, r.Run)
	}
	n.loops = append(n.loops, channels.Run, n.hub.Run, n.wakeLoop, n.tidyLoop)

	resolver := &resolvers.Resolver{Store: n.store, Desk: n.desk, Live: n.hub, PublicURL: c.PublicURL}
	metrics := server.NewMetrics(n.registry)
	executor := server.NewExecutor(resolver.Schema(), server.ExecutorOptions{Logger: log, Metrics: metrics})
	executor.Use(resolver.Loaders())
	auth := server.NewAuth(n.store, n.desk)
	oauth := slackbridge.NewOAuth(n.desk, client, slackbridge.OAuthOptions{
		ClientID: c.SlackClientID, ClientSecret: c.SlackSecret, Log: log, Installed: func(*ochre.SlackInstallation) { channels.Due() },
	})
	n.server = server.New(server.Config{
		Auth: auth, Executor: executor, Logger: log, Metrics: metrics, PublicURL: c.PublicURL,
		Socket:  socket.New(socket.Options{Executor: socket.NewGQLGenExecutor(executor), Auth: auth, CheckInterval: 5 * time.Second, Metrics: count.sockets(), Logger: log}),
		Limiter: newLimiter(rdb, bus),
		SlackEvents: slackbridge.NewEvents(slackbridge.EventsOptions{
			SigningSecret: c.SlackSigning, Inbox: n.inbox, Now: time.Now, Count: count.received, Log: log,
		}),
		SlackInstall: oauth, SlackCallback: oauth, Files: slackbridge.NewFiles(n.store, client, log),
		Ready:    append([]server.Check{{Name: "database", Func: n.store.Ping}}, ready...),
		Gatherer: n.registry, MetricsToken: c.MetricsToken,
	})
	return n, nil
}

// redis connects to Redis, which may come later. Without a URL the node is alone.
func (n *node) redis(context.Context) (*redis.Client, *live.RedisBus, error) {
	if n.config.RedisURL == "" {
		n.log.Warn("REDIS_URL is not set: events of other nodes are seen within about a second")
		return nil, nil, nil
	}
	o, err := redis.ParseURL(n.config.RedisURL)
	if err != nil {
		return nil, nil, errors.New("REDIS_URL can't be parsed; want redis://user:password@host:port/database")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	c := redis.NewClient(o)
	n.close = append(n.close, func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := c.Ping(ctx).Err(); err != nil {
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil, nil, fmt.Errorf("redis at %s refuses: %w", o.Addr, err)
		}
		n.log.Warn("redis is not there yet; live updates go on by reading the log", "addr", o.Addr)
	}
	return c, live.NewRedisBus(c, n.log), nil
}

// tokenRefused disconnects an installation whose token Slack does not take any more.
func (n *node) tokenRefused(ctx context.Context, inst *ochre.SlackInstallation, code string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := n.desk.TokenRefused(ctx, inst, code); err != nil {
		n.log.Warn("an installation could not be marked as disconnected", "slack_team", inst.SlackTeamID, "error", err)
	}
}

// waitForDatabase waits with back-off until the database answers. Its error names the host and never the password.
func waitForDatabase(ctx context.Context, s *store.Store, databaseURL string, log *slog.Logger) error {
	host := "the database"
	if u, err := url.Parse(databaseURL); err == nil && u.Host != "" {
		host = u.Host
	}
	deadline := time.Now().Add(databaseWait)
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 4*time.Second) {
		err := s.Ping(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case store.IsRefused(err):
			return fmt.Errorf("the database at %s refuses the user or the password", host)
		case time.Now().Add(wait).After(deadline):
			return fmt.Errorf("no database at %s within %s", host, databaseWait)
		}
		log.Warn("the database does not answer; waiting", "host", host, "again_in", wait.String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// run serves on a listener until ctx ends, then stops in the order in which nothing is lost: requests first, then what they left behind.
func (n *node) run(ctx context.Context, l net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range n.loops {
		loops.Go(func() { loop(background) })
	}
	loops.Go(func() {
		if err := n.inbox.Run(background); err != nil && background.Err() == nil {
			n.log.Error("the inbox ended", "error", err)
		}
	})
	loops.Go(func() {
		if done, err := n.desk.ResealTokens(background); err != nil || done > 0 {
			n.log.Info("tokens sealed by the current key", "count", done, "error", err)
		}
	})
	if n.config.MetricsAddr != "" {
		loops.Go(func() { n.serveMetrics(background) })
	}
	n.log.Info("serving", "addr", l.Addr().String(), "url", n.config.PublicURL)
	err := server.Run(ctx, l, n.server, n.log)
	stop()
	loops.Wait()
	n.shut()
	return err
}

func (n *node) serveMetrics(ctx context.Context) {
	srv := &http.Server{Addr: n.config.MetricsAddr, Handler: server.MetricsHandler(n.registry), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		n.log.Error("metrics are not served", "addr", n.config.MetricsAddr, "error", err)
	}
}

// shut closes what was opened, the last first.
func (n *node) shut() {
	for i := len(n.close) - 1; i >= 0; i-- {
		n.close[i]()
	}
	n.close = nil
}
