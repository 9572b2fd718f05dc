//go:build !unix

package agent

import "os"

// exitError tells how a program ended, nil for exit code 0.
func exitError(state *os.ProcessState) error {
	if state.ExitCode() == 0 {
		return nil
	}
	return &ExitError{Code: state.ExitCode()}
}

// Signals are those that Exec should pass on: here none, since every process of a console gets them itself; they must not end this one.
func Signals() []os.Signal { return []os.Signal{os.Interrupt} }

// onTerminal reports whether signals of the keyboard go to the program by themselves.
func onTerminal() bool { return true }

func fromKeyboard(sig os.Signal) bool { return sig == os.Interrupt }
