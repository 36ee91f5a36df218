package slacksim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// syncEvery bounds what a crash of the whole machine may lose. A crash of the
// process alone loses nothing: each entry is written before the call that made it is
// answered.
const syncEvery = 200 * time.Millisecond

type entry struct {
	Kind  string          `json:"k"`
	ID    string          `json:"id"`
	Value json.RawMessage `json:"v"`
}

// journal is the world's file: one JSON line per changed entry, the last one of a
// kind and id counts, null forgets it. It is written anew, with one line per entry,
// each time it is opened. A nil file is a journal that keeps nothing.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	err   error // the first failure to write; reported by close
	dirty bool
	done  chan struct{}
	ended sync.WaitGroup
}

// openJournal reads the entries of the folder, oldest first, and opens the file for
// more of them.
func openJournal(dir string) (*journal, []entry, error) {
	if dir == "" {
		return &journal{}, nil, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o700); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "world.jsonl")
	entries, err := readEntries(path)
	if err != nil {
		return nil, nil, err
	}
	if err := rewrite(path, entries); err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{file: file, done: make(chan struct{})}
	j.ended.Add(1)
	go j.syncLoop()
	return j, entries, nil
}

// readEntries returns what counts of each entry, in the order in which they were
// first written. A last line without its end was being written when the process died,
// and its call was never answered.
func readEntries(path string) ([]entry, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []entry
	place := map[string]int{}
	for number := 1; len(raw) > 0; number++ {
		line, rest, whole := bytes.Cut(raw, []byte("\n"))
		raw = rest
		if !whole {
			break
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, number, err)
		}
		key := e.Kind + " " + e.ID
		if i, seen := place[key]; seen {
			entries[i].Value = e.Value
			continue
		}
		place[key] = len(entries)
		entries = append(entries, e)
	}
	kept := entries[:0]
	for _, e := range entries {
		if !bytes.Equal(e.Value, []byte("null")) {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

func rewrite(path string, entries []entry) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "world-*.tmp")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already when it was renamed
	out := bufio.NewWriter(temp)
	for _, e := range entries {
		if err := writeLine(out, e); err != nil {
			return errors.Join(err, temp.Close())
		}
	}
	if err := errors.Join(out.Flush(), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

func writeLine(out io.Writer, e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// put writes an entry; a nil value forgets it. A failure is kept for close, and the
// simulator goes on from memory.
func (j *journal) put(kind, id string, value any) {
	if j.file == nil {
		return
	}
	raw, err := json.Marshal(value)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		err = writeLine(j.file, entry{kind, id, raw})
		j.dirty = true
	}
	if err != nil && j.err == nil {
		j.err = fmt.Errorf("write the world: %w", err)
	}
}

func (j *journal) syncLoop() {
	defer j.ended.Done()
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.done:
			return
		case <-tick.C:
			j.sync()
		}
	}
}

func (j *journal) sync() {
	j.mu.Lock()
	dirty := j.dirty
	j.dirty = false
	j.mu.Unlock()
	if !dirty {
		return
	}
	if err := j.file.Sync(); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.err == nil {
			j.err = err
		}
	}
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	close(j.done)
	j.ended.Wait()
	j.sync()
	return errors.Join(j.err, j.file.Close())
}

// openWorld reads the world of the folder, or plants a new one.
func openWorld(dir, seed string, now func() time.Time) (*world, error) {
	j, entries, err := openJournal(dir)
	if err != nil {
		return nil, err
	}
	w := &world{
		now: now, journal: j, seed: seed,
		teams: map[string]*team{}, users: map[string]*user{}, channels: map[string]*channel{},
		installs: map[string]*installation{}, tokens: map[string]*token{}, files: map[string]*file{},
		content: fileStore{dir: dir, memory: map[string][]byte{}},
	}
	if err := w.replay(entries); err != nil {
		return nil, errors.Join(err, j.close())
	}
	if w.app == nil {
		w.plant()
	}
	return w, nil
}

func (w *world) replay(entries []entry) error {
	var messages []*message
	for _, e := range entries {
		if e.Kind == "message" {
			m := new(message)
			if err := json.Unmarshal(e.Value, m); err != nil {
				return fmt.Errorf("message %s: %w", e.ID, err)
			}
			messages = append(messages, m)
			continue
		}
		if err := w.load(e.Kind, e.ID, e.Value); err != nil {
			return fmt.Errorf("%s %s: %w", e.Kind, e.ID, err)
		}
	}
	for _, m := range messages {
		if c := w.channels[m.Channel]; c != nil {
			c.log.insert(m)
		}
	}
	return nil
}
