package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/child"
	"github.com/ochrehq/ochre/internal/localpg"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/server"
	"github.com/ochrehq/ochre/store"
)

// The company of `ochre dev`, whose people and channels are the simulator's.
const (
	devTenant = "Ochre Labs"
	devAdmin  = "ada@ochre-labs.example"
)

type devCommand struct {
	Addr    string `help:"Where Ochre listens. Left out: 127.0.0.1:8080, or the next free port." placeholder:"HOST:PORT"`
	SimAddr string `name:"sim-addr" help:"Where the Slack simulator listens. Left out: 127.0.0.1:8081, or the next free port." placeholder:"HOST:PORT"`
	DataDir string `name:"data-dir" default:".ochre" help:"Where everything is kept."`
	Reset   bool   `help:"Forget everything first."`
	Forget  bool   `help:"Forget everything and end." hidden:""`
}

// dev is a running `ochre dev`.
type dev struct {
	command *devCommand
	out     io.Writer
	log     *slog.Logger
	dir     string
	config  config
	sim     string // address of the simulator
	token   string // API token of the admin
	ready   chan struct{}
	began   time.Time
}

// Run implements the command.
func (c *devCommand) Run(ctx context.Context, out *streams) (err error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return err
	}
	d := &dev{command: c, out: out.out, dir: dir, ready: make(chan struct{}), began: time.Now()}
	_, missing := os.Stat(d.path("secret-key"))
	if c.Reset || c.Forget {
		d.say("Forgetting what is in %s", dir)
	}
	// PostgreSQL's data may be kept elsewhere (see localpg): who deletes the folder by hand means that too.
	if c.Reset || c.Forget || errors.Is(missing, os.ErrNotExist) {
		if err := errors.Join(localpg.Reset(ctx, filepath.Join(dir, "postgres")), os.RemoveAll(filepath.Join(dir, "slack")), os.RemoveAll(filepath.Join(dir, "secrets"))); err != nil {
			return fmt.Errorf("reset: %w", err)
		}
	}
	if c.Forget {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	logs, err := os.OpenFile(filepath.Join(dir, "ochre.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	d.log = newLogger(logs)
	return d.run(ctx, logs)
}

func (d *dev) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

// run starts the parts in the order in which they need one another; they end in the other order.
func (d *dev) run(ctx context.Context, logs *os.File) (err error) {
	l, err := d.listen(ctx, d.command.Addr, "8080", "port")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the server closes it too
	d.config.PublicURL = "http://" + l.Addr().String()

	d.say("PostgreSQL: starting a private one in %s", filepath.Join(d.dir, "postgres"))
	pg, err := localpg.Start(ctx, localpg.Options{Dir: filepath.Join(d.dir, "postgres"), Log: logs, Fsync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop()) }()
	if err := pg.EnsureDatabase(ctx, "ochre"); err != nil {
		return err
	}
	d.config.DatabaseURL = pg.URL("ochre")
	if err := store.Migrate(ctx, d.config.DatabaseURL); err != nil {
		return err
	}

	rd := miniredis.NewMiniRedis()
	if err := rd.Start(); err != nil {
		return fmt.Errorf("in-process redis: %w", err)
	}
	defer rd.Close()
	d.config.RedisURL = "redis://" + rd.Addr()

	sim, err := d.startSim(ctx, logs)
	if err != nil {
		return err
	}
	defer func() { _ = sim.Stop(child.Step{Signal: syscall.SIGTERM, Wait: 5 * time.Second}) }()
	if err := d.configure(ctx); err != nil {
		return err
	}
	return d.serve(ctx, l, sim)
}

// serve runs the node, walks through the set-up while it runs, and ends when ctx does or a part has failed.
func (d *dev) serve(ctx context.Context, l net.Listener, sim *child.Process) error {
	n, err := newNode(ctx, d.config, d.log, server.Check{Name: "set-up", Func: d.isReady})
	if err != nil {
		return err
	}
	if err := d.people(ctx, n); err != nil {
		n.shut()
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-sim.Done():
			stop(errors.New("the Slack simulator has ended; see " + filepath.Join(d.dir, "ochre.log")))
		}
	}()
	go func() {
		if err := d.setUp(ctx, n); err != nil && ctx.Err() == nil {
			stop(fmt.Errorf("set up: %w", err))
		}
	}()
	err = n.run(ctx, l)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	d.say("\nEnded. Everything is kept in %s; `--reset` forgets it.", d.dir)
	return err
}

func (d *dev) isReady(context.Context) error {
	select {
	case <-d.ready:
		return nil
	default:
		return ochre.Errorf(ochre.CodeUnavailable, "the app is not installed and linked yet")
	}
}

// listen opens the address given, or else the port of the last run, the default one, or the next that is free.
func (d *dev) listen(ctx context.Context, given, standard, name string) (net.Listener, error) {
	var config net.ListenConfig
	if given != "" {
		l, err := config.Listen(ctx, "tcp", given)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", given, err)
		}
		return l, nil
	}
	port := standard
	if kept, err := os.ReadFile(d.path(name)); err == nil {
		port = strings.TrimSpace(string(kept))
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		first, _ = strconv.Atoi(standard)
	}
	for p := first; p < first+100; p++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
		l, err := config.Listen(ctx, "tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		if p != first {
			d.say("Port %d is taken: using %d.", first, p)
		}
		return l, os.WriteFile(d.path(name), []byte(strconv.Itoa(p)), 0o600)
	}
	return nil, fmt.Errorf("no free port from %d to %d", first, first+99)
}

func (d *dev) path(name string) string { return filepath.Join(d.dir, "secrets", name) }

// startSim runs the simulator as a child process of its own, and waits until it answers.
func (d *dev) startSim(ctx context.Context, logs *os.File) (*child.Process, error) {
	l, err := d.listen(ctx, d.command.SimAddr, "8081", "sim-port")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil { // the child opens it again at once
		return nil, err
	}
	d.sim = "http://" + addr
	d.say("Slack simulator: starting at %s", d.sim)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "slacksim", "--addr", addr, "--events-url", d.config.PublicURL+"/slack/events", //nolint:gosec // ourselves
		"--data-dir", filepath.Join(d.dir, "slack"), "--fast-retry")
	cmd.Stdout, cmd.Stderr = logs, logs
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	for wait := time.Now().Add(10 * time.Second); ; {
		if _, err = d.world(ctx); err == nil {
			return p, nil
		}
		if time.Now().After(wait) {
			_ = p.Stop(child.Step{Signal: syscall.SIGKILL, Wait: time.Second})
			return nil, fmt.Errorf("the simulator does not answer: %w", err)
		}
		select {
		case <-p.Done():
			return nil, fmt.Errorf("the simulator ended at once; see %s", filepath.Join(d.dir, "ochre.log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// configure takes the app's credentials from the simulator and the secrets from the data folder.
func (d *dev) configure(ctx context.Context) error {
	w, err := d.world(ctx)
	if err != nil {
		return err
	}
	c := &d.config
	c.SlackClientID, c.SlackSecret, c.SlackSigning = w.App.ClientID, w.App.ClientSecret, w.App.SigningSecret
	c.SlackAPIURL = d.sim + "/api/"
	if c.SecretKey, err = d.kept("secret-key", func() string { return random(48) }); err != nil {
		return err
	}
	if d.token = os.Getenv("OCHRE_DEV_TOKEN"); d.token == "" {
		d.token, err = d.kept("api-token", func() string { t, _ := secret.Token(); return "ochre_" + t })
	}
	return err
}

// kept gives a secret of the data folder, made if it is not there.
func (d *dev) kept(name string, fresh func() string) (string, error) {
	b, err := os.ReadFile(d.path(name))
	if errors.Is(err, os.ErrNotExist) {
		b = []byte(fresh())
		err = os.WriteFile(d.path(name), b, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// people makes the company, its admin and the admin's API token, where they are not there.
func (d *dev) people(ctx context.Context, n *node) error {
	_, err := n.store.AnyAgentByEmail(ctx, devAdmin)
	if errors.Is(err, ochre.ErrNotFound) {
		_, _, _, err = n.desk.CreateTenant(ctx, devTenant, devAdmin)
	}
	if err != nil {
		return err
	}
	_, err = n.desk.SetToken(ctx, devAdmin, "ochre dev", d.token)
	return err
}
