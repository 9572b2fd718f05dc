//go:build unix

package agent

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitError tells how a program ended, nil for exit code 0.
func exitError(state *os.ProcessState) error {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		name := unix.SignalName(ws.Signal())
		if name == "" {
			name = ws.Signal().String()
		}
		return &ExitError{Code: int(ws.Signal()), Signal: name}
	}
	if state.ExitCode() == 0 {
		return nil
	}
	return &ExitError{Code: state.ExitCode()}
}

// Signals are those that Exec should pass on: what people and supervisors send to a program.
func Signals() []os.Signal {
	return []os.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGINT, unix.SIGQUIT}
}

// onTerminal reports whether this process is in the foreground of a terminal: a signal of the keyboard then goes to the program that it runs
// too, by itself.
func onTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// fromKeyboard reports whether a signal is one that a terminal sends.
func fromKeyboard(sig os.Signal) bool { return sig == unix.SIGINT || sig == unix.SIGQUIT }
