// Command ochre turns Slack channels into support conversations. `ochre dev` runs all of it on one machine; `ochre serve` is a node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in the command line or the configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

type cli struct {
	Dev      devCommand      `cmd:"" help:"Run all of Ochre here: private PostgreSQL, in-process Redis, Slack simulator, inbox."`
	Serve    serveCommand    `cmd:"" help:"Run a node, configured by environment variables."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's schema up to date."`
	Tenant   tenantCommand   `cmd:"" help:"Companies that use this Ochre."`
	Agent    agentCommand    `cmd:"" help:"People who answer conversations."`
	Token    tokenCommand    `cmd:"" help:"API tokens."`
	Slack    slackCommand    `cmd:"" help:"Helps to set Slack up."`
	Slacksim slacksimCommand `cmd:"" help:"Run a Slack simulator."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run parses and runs one command line. The first SIGINT or SIGTERM ends it in order, the second at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // the next signal ends the process
	}()
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("ochre"), kong.Description("Slack channels as support conversations."), kong.UsageOnError(),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&streams{stdout, stderr}))
	if err != nil {
		fmt.Fprintln(stderr, "ochre:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "ochre:", err)
		return exitUsage
	}
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "ochre:", err)
		var usage usageError
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}

// streams is where a command writes.
type streams struct{ out, err io.Writer }
