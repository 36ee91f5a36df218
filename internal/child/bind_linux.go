package child

import "syscall"

// bind asks the kernel to send sig to the child when the thread that forked it ends.
func bind(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
