package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
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
	Addr    hostPort `help:"Where Ochre listens. Left out: 127.0.0.1:8080, or the next free port." placeholder:"HOST:PORT"`
	SimAddr hostPort `name:"sim-addr" help:"Where the Slack simulator listens. Left out: 127.0.0.1:8081, or the next free port." placeholder:"HOST:PORT"`
	DataDir string   `name:"data-dir" default:".ochre" help:"Where everything is kept (${default})." placeholder:"DIR"`
	Reset   bool     `help:"Forget everything first."`
	Forget  bool     `help:"Forget everything and end." hidden:""`
}

// dev is a running `ochre dev`.
type dev struct {
	command *devCommand
	out     io.Writer
	log     *slog.Logger
	folder  *folder
	config  config
	sim     string // address of the simulator
	token   string // API token of the admin
	ready   chan struct{}
	began   time.Time
}

// Run implements the command.
func (c *devCommand) Run(ctx context.Context, out *streams) (err error) {
	d := &dev{command: c, out: out.out, ready: make(chan struct{}), began: time.Now(), token: os.Getenv("OCHRE_DEV_TOKEN")}
	if strings.ContainsFunc(d.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return usageError{errors.New("OCHRE_DEV_TOKEN: a token is ASCII without spaces")}
	}
	if d.folder, err = openFolder(c.DataDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.folder.close()) }()
	if c.Reset || c.Forget {
		d.say("Forgetting what is in %s", d.folder.dir)
	}
	if c.Reset || c.Forget || d.folder.isNew() {
		if err := d.folder.forget(ctx); err != nil {
			return err
		}
	}
	if c.Forget {
		return nil
	}
	logs, err := os.OpenFile(d.folder.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	d.log = newLogger(logs)
	defer context.AfterFunc(ctx, func() { d.say("\nEnding. Ctrl-C again ends it at once.") })()
	if err := d.run(ctx, logs); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	d.say("Ended. Everything is kept in %s; `--reset` forgets it.", d.folder.dir)
	return nil
}

func (d *dev) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

// run starts the parts in the order in which they need one another; they end in the other order.
func (d *dev) run(ctx context.Context, logs *os.File) (err error) {
	l, err := d.listen(ctx, d.command.Addr, 8080, "port", "Ochre")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the server closes it too
	d.config.PublicURL = "http://" + reachable(l.Addr())

	d.say("PostgreSQL: starting a private one")
	pg, err := localpg.Start(ctx, localpg.Options{Dir: d.folder.postgres(), Log: logs, Fsync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop()) }()
	d.say("PostgreSQL: version %d, with its data in %s", pg.Version(), pg.Dir())
	if err := pg.EnsureDatabase(ctx, "ochre"); err != nil {
		return err
	}
	d.config.DatabaseURL = pg.URL("ochre")
	if err := migrate(ctx, d.config.DatabaseURL, d.log); errors.Is(err, store.ErrSchemaNewer) {
		return fmt.Errorf("%w: run the newer program, or begin anew with --reset", err)
	} else if err != nil {
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
	var aside sync.WaitGroup
	aside.Go(func() {
		select {
		case <-ctx.Done():
		case <-sim.Done():
			stop(errors.New("the Slack simulator has ended; see " + d.folder.log()))
		}
	})
	aside.Go(func() {
		if err := d.setUp(ctx, n); err != nil && ctx.Err() == nil {
			stop(fmt.Errorf("set up: %w", err))
		}
	})
	err = n.run(ctx, l)
	stop(nil)
	aside.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
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

// listen opens the address that was given, or else one that the folder keeps.
func (d *dev) listen(ctx context.Context, given hostPort, standard int, name, whose string) (net.Listener, error) {
	if given != "" {
		return listen(ctx, string(given))
	}
	return d.folder.listen(ctx, standard, name, whose, d.say)
}

// startSim runs the simulator as a child process of its own, and waits until it answers.
func (d *dev) startSim(ctx context.Context, logs *os.File) (*child.Process, error) {
	l, err := d.listen(ctx, d.command.SimAddr, 8081, "sim-port", "the simulator")
	if err != nil {
		return nil, err
	}
	addr := l.Addr()
	if err := l.Close(); err != nil { // the child opens it again at once
		return nil, err
	}
	d.sim = "http://" + reachable(addr)
	d.say("Slack simulator: starting at %s", d.sim)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "slacksim", "--addr", addr.String(), "--events-url", d.config.PublicURL+"/slack/events",
		"--data-dir", d.folder.slack(), "--fast-retry")
	cmd.Stdout, cmd.Stderr = logs, logs
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	if err := d.awaitSim(ctx, p); err != nil {
		_ = p.Stop(child.Step{Signal: syscall.SIGKILL, Wait: time.Second})
		return nil, err
	}
	return p, nil
}

func (d *dev) awaitSim(ctx context.Context, p *child.Process) error {
	over, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		_, err := d.world(over)
		if err == nil {
			return nil
		}
		select {
		case <-over.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the simulator does not answer: %w", err)
		case <-p.Done():
			return fmt.Errorf("the simulator ended at once; see %s", d.folder.log())
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
	if c.SecretKey, err = d.folder.kept("secret-key", func() string { return random(48) }); err != nil {
		return err
	}
	if d.token == "" {
		d.token, err = d.folder.kept("api-token", func() string { t, _ := secret.Token(); return "ochre_" + t })
	}
	return err
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
