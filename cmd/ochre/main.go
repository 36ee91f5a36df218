// Command ochre turns Slack channels into support conversations. `ochre dev` runs all of it on one machine; `ochre serve` is a node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
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
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go heed(stop)
	fail := func(code int, err error) int {
		_, _ = fmt.Fprintln(stderr, "ochre:", err)
		return code
	}
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("ochre"), kong.Description("Slack channels as support conversations."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }), kong.KindMapper(reflect.String, kong.MapperFunc(decodeText)),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&streams{stdout, stderr}))
	if err != nil {
		return fail(exitFailed, err)
	}
	if len(args) == 0 || args[0] == "help" {
		args = append(args[min(1, len(args)):], "--help")
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		return fail(exitUsage, err)
	}
	if _, err := logLevel(); err != nil {
		return fail(exitUsage, err)
	}
	err = command.Run()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return fail(exitUsage, err)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return fail(exitFailed, errors.New("interrupted"))
	}
	return fail(exitFailed, err)
}

// heed ends in order at the first signal and at once at the second, with a shell's exit code for that.
func heed(end func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	end()
	if s, ok := (<-signals).(syscall.Signal); ok {
		os.Exit(128 + int(s))
	}
}

// decodeText is kong's mapper of strings with a better error.
func decodeText(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx)
	if err == nil {
		target.SetString(text)
	}
	return err
}

// popText takes the value of a flag or an argument.
func popText(ctx *kong.DecodeContext) (text string, err error) {
	if !ctx.Scan.Peek().IsValue() {
		return "", errors.New("a value is missing")
	}
	err = ctx.Scan.PopValueInto("text", &text)
	return text, err
}

// streams is where a command writes.
type streams struct{ out, err io.Writer }
