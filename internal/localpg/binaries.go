//go:build unix

package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest major version that Ochre is tested with.
const oldest = 15

// ErrNotInstalled means that no PostgreSQL server was found.
var ErrNotInstalled = errors.New("no PostgreSQL server (version " + strconv.Itoa(oldest) + " or newer) was found: install it with" +
	" `apt-get install postgresql` (Debian, Ubuntu) or `brew install postgresql@17` (macOS)")

// binaries are the programs of one installed PostgreSQL.
type binaries struct {
	postgres, initdb string
	major            int
}

// folders where distributions put servers, which are rarely on the PATH.
var folders = []string{
	"/usr/lib/postgresql/*/bin",                                   // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                            // Red Hat, from postgresql.org
	"/usr/libexec/postgresql*",                                    // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",                          // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",                             // Homebrew, Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",             // Homebrew, Linux
	"/opt/local/lib/postgresql*/bin",                              // MacPorts
	"/Applications/Postgres.app/Contents/Versions/*/bin",          // Postgres.app
	"/Library/PostgreSQL/*/bin",                                   // EDB
	"/usr/local/pgsql/bin", "/opt/homebrew/bin", "/usr/local/bin", // by hand
}

// findBinaries lists the installed servers, the newest first; never none.
func findBinaries() ([]binaries, error) {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(d) {
			dirs = append(dirs, d)
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range folders {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for PostgreSQL in %s: %w", pattern, err)
		}
		dirs = append(dirs, matches...)
	}
	var found []binaries
	for _, dir := range dirs {
		if b, ok := binariesIn(dir); ok {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return nil, ErrNotInstalled
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return found, nil
}

// binariesIn looks into one folder. What is too old, broken or only a client is no match.
func binariesIn(dir string) (binaries, bool) {
	b := binaries{postgres: filepath.Join(dir, "postgres"), initdb: filepath.Join(dir, "initdb")}
	if _, err := os.Stat(b.initdb); err != nil {
		return b, false
	}
	out, err := exec.Command(b.postgres, "--version").Output()
	if err != nil {
		return b, false
	}
	b.major = majorVersion(string(out))
	return b, b.major >= oldest
}

var versionNumber = regexp.MustCompile(`\d+`)

// majorVersion of `postgres (PostgreSQL) 15.10 (Debian …)` or of a PG_VERSION file; 0 if there is none.
func majorVersion(s string) int {
	n, err := strconv.Atoi(versionNumber.FindString(s))
	if err != nil {
		return 0
	}
	return n
}

// chooseBinaries takes the newest installed server for new data and the one of the same major version for data that is there: no
// other can read it.
func chooseBinaries(found []binaries, data string) (binaries, error) {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return found[0], nil
	}
	if err != nil {
		return binaries{}, fmt.Errorf("read the version of the data: %w", err)
	}
	have := majorVersion(string(raw))
	for _, b := range found {
		if b.major == have {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("the data in %s was made by PostgreSQL %d, but only version %d is installed, which can't read it. "+
		"To go on with the data, install version %d again (`apt-get install postgresql-%d` or `brew install postgresql@%d`), or convert it "+
		"with pg_upgrade. To start afresh, move the folder away: mv %s %s.%d. Nothing was changed",
		data, have, found[0].major, have, have, have, data, data, have)
}
