//go:build unix

// Testrun runs a command, `go test ./...` as a rule, with one PostgreSQL and one Redis for all tests that it runs, and ends with the
// command's status:
//
//	go run ./internal/testenv/cmd/testrun -- go test -race ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/ochrehq/ochre/internal/testenv"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: testrun [--] command [argument …]")
		os.Exit(2)
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var services testenv.Services
	defer func() { err = errors.Join(err, services.Stop()) }()
	if err := services.StartPostgres(ctx); err != nil {
		return 1, err
	}
	if err := services.StartRedis(ctx); err != nil {
		return 1, err
	}

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), services.Environment()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go func() {
		for sig := range signals {
			// The terminal sends SIGINT to the command as well; a second one does no harm.
			cmd.Process.Signal(sig) //nolint:errcheck // the command may have ended
		}
	}()
	err = cmd.Wait()
	var status *exec.ExitError
	if errors.As(err, &status) {
		return max(status.ExitCode(), 1), nil
	}
	return 0, err
}
