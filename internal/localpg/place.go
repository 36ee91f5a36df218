//go:build unix

package localpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// elsewhere holds the data of servers whose own folder their account can't reach. Only root needs it, and only root can write there.
const elsewhere = "/var/lib/ochre"

// A place is where a server's files are and whose they are.
type place struct {
	dir     string
	account account
	note    string // what a person should know about it; often empty
}

func (p place) data() string   { return filepath.Join(p.dir, "data") }
func (p place) secret() string { return filepath.Join(p.dir, "password") }

// An account is who the server runs as. The zero account is root, which stands for no choice: only a caller that is root chooses.
type account struct {
	name     string
	uid, gid uint32
}

// attributes to run a program under the account.
func (a account) attributes() *syscall.SysProcAttr {
	if a.uid == 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
}

// give makes the account the owner of what we made for it.
func (a account) give(path string) error {
	if a.uid == 0 {
		return nil
	}
	if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("hand %s over to user %s: %w", path, a.name, err)
	}
	return nil
}

// choosePlace decides where the files of dir are and who runs the server. For anyone but root that is dir and the caller. PostgreSQL
// refuses to run as root: then it is the owner of the data that is there already, else postgres, else nobody, and a folder in
// /var/lib/ochre where that account can't reach dir.
func choosePlace(dir string, bin binaries) (place, error) {
	if dir == "" {
		return place{}, errors.New("localpg: Options.Dir is empty")
	}
	dir, err := realFolder(dir)
	if err != nil {
		return place{}, err
	}
	own := place{dir: dir}
	if os.Geteuid() != 0 {
		return own, checkOwner(own.data())
	}
	away := place{dir: filepath.Join(elsewhere, shortName(dir))}
	for _, p := range []place{own, away} {
		owner, err := ownerOf(p.data())
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return place{}, err
		}
		p.account = owner
		return p, checkExisting(p, bin)
	}
	if own.account, err = unprivileged(); err != nil {
		return place{}, err
	}
	if canReach(own.account, dir, bin) {
		return own, nil
	}
	away.account = own.account
	away.note = fmt.Sprintf("PostgreSQL's data is kept in %s: user %s, under which it runs, can't reach %s", away.dir, own.account.name, dir)
	return away, away.make()
}

// make makes the folder, open to be passed through whatever the umask.
func (p place) make() error {
	for _, d := range []string{elsewhere, p.dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make the folder of PostgreSQL's data: %w", err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			return fmt.Errorf("open the folder of PostgreSQL's data: %w", err)
		}
	}
	return nil
}

// realFolder makes dir and returns its one true name, since its hash names other things.
func realFolder(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the folder of PostgreSQL's data: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of PostgreSQL's data: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("find the folder of PostgreSQL's data: %w", err)
	}
	return dir, nil
}

// checkOwner refuses another user's data, which PostgreSQL would refuse with less help.
func checkOwner(data string) error {
	owner, err := ownerOf(data)
	if errors.Is(err, os.ErrNotExist) || (err == nil && int(owner.uid) == os.Geteuid()) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the data in %s belongs to user %s: run this as that user or as root, or choose another data folder", data, owner.name)
}

// checkExisting refuses data that its owner can't be given to run.
func checkExisting(p place, bin binaries) error {
	if p.account.uid == 0 {
		return fmt.Errorf("the data in %s belongs to root, and PostgreSQL never runs as root: give it to another user (chown -R postgres %[1]s)", p.data())
	}
	if !canReach(p.account, p.dir, bin) {
		return fmt.Errorf("the data in %s belongs to user %s, who can't reach that folder any more: allow it (chmod o+x on the folders above) or move the data away", p.data(), p.account.name)
	}
	return nil
}

func ownerOf(path string) (account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return account{}, fmt.Errorf("look at PostgreSQL's data: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, fmt.Errorf("the owner of %s is not known", path)
	}
	a := account{name: strconv.Itoa(int(st.Uid)), uid: st.Uid, gid: st.Gid}
	if u, err := user.LookupId(a.name); err == nil {
		a.name = u.Username
	}
	return a, nil
}

// unprivileged finds the account for new data: PostgreSQL's own, which its package makes, else nobody.
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseInt(u.Uid, 10, 64)
		gid, err2 := strconv.ParseInt(u.Gid, 10, 64)
		if err1 != nil || err2 != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, errors.New("PostgreSQL never runs as root, and there is neither a user postgres nor a user nobody to run it as")
}

// canReach tries it: the account runs a harmless program there. Only that answers for permissions, access lists and mounts alike.
func canReach(a account, dir string, bin binaries) bool {
	cmd := exec.Command(bin.postgres, "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = a.attributes()
	return cmd.Run() == nil
}

// shortName of a folder: the same for the same folder, different for others.
func shortName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:6])
}

// lockFolder takes the folder for this process, until the file is closed or the process ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock PostgreSQL's data: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		// The number helps only the message below.
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
		}
		if err == nil {
			return f, nil
		}
	}
	defer f.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock PostgreSQL's data: %w", err)
	}
	pid, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read who uses PostgreSQL's data: %w", err)
	}
	return nil, fmt.Errorf("the data in %s is in use by another Ochre (process %s): end that first, or choose another data folder",
		dir, pid)
}

// socketName is the folder of the unix socket. It is short, since a socket's path has to fit into about 100 bytes where a data
// folder has not, and the same for the same data.
func socketName(p place) string {
	return fmt.Sprintf("/tmp/ochre-pg-%d-%s", os.Geteuid(), shortName(p.dir))
}

// makeSocketFolder makes it, closed to everyone but the server's account (and root), and new: what is there was left by a run that
// was killed, or laid there by a stranger, who must not get our connections.
func makeSocketFolder(dir string, a account) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear the folder of PostgreSQL's socket: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of PostgreSQL's socket: %w", err)
	}
	return a.give(dir)
}
