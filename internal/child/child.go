//go:build unix

// Package child runs programs that must not outlive us: a private database, a simulator.
package child

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A Process is a running child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// Start starts cmd in a process group of its own, so that a Ctrl-C in the terminal reaches only us and we decide the order in
// which things end. Where the kernel can do it (Linux), the child gets onDeath when we die, however we die.
//
// Linux ties that signal to the thread that forked, not to the process: a thread the Go runtime retires would end the child. So
// each child has a thread of its own, which lives exactly as long as the child.
//
// The child is waited for from the beginning. So its output goes to cmd.Stdout and cmd.Stderr, not to a cmd.StdoutPipe, which the
// waiting would close under the reader.
func Start(cmd *exec.Cmd, onDeath syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	bind(cmd.SysProcAttr, onDeath)

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and all its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended, nil if with status 0. It may be asked only after Done is closed.
func (p *Process) Err() error { return p.err }

// Signal sends sig to the child alone, not to its group. A child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	err := syscall.Kill(p.Pid(), sig)
	if err == syscall.ESRCH {
		return nil
	}
	return err
}

// A Step of Stop: a signal, and how long the child may take to heed it.
type Step struct {
	Signal syscall.Signal
	Wait   time.Duration
}

// Stop goes through the steps until the child has ended; the last resort, SIGKILL, is its own. It returns when the child is gone,
// and says in an error if more than the first step was needed.
func (p *Process) Stop(steps ...Step) error {
	for i, step := range append(steps, Step{Signal: syscall.SIGKILL, Wait: 10 * time.Second}) {
		if err := p.Signal(step.Signal); err != nil {
			return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
		}
		wait := time.NewTimer(step.Wait)
		select {
		case <-p.done:
			wait.Stop()
			if i > 0 {
				return fmt.Errorf("%s ended only after %v", p.cmd.Path, step.Signal)
			}
			return nil
		case <-wait.C:
		}
	}
	return fmt.Errorf("%s (process %d) can't be ended", p.cmd.Path, p.Pid())
}
