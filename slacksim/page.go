package slacksim

import (
	"bytes"
	"embed"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed page
var pageFiles embed.FS

// watcherList is the open pages; each is told the id of a channel that changed.
type watcherList struct {
	mu   sync.Mutex
	open map[chan string]bool
}

// tell never waits: a page that is behind misses ids, and looks at everything once
// it has caught up.
func (l *watcherList) tell(channelID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ch := range l.open {
		select {
		case ch <- channelID:
		default:
		}
	}
}

func (l *watcherList) join() (chan string, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[chan string]bool{}
	}
	ch := make(chan string, 64)
	l.open[ch] = true
	return ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, ch)
	}
}

func (s *Server) pageRoutes(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic("slacksim: embedded page: " + err.Error())
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.html") })
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServerFS(files)))
	mux.HandleFunc("GET /page/stream", s.serveStream)
	mux.HandleFunc("GET /page/channel", s.servePageChannel)
}

// serveStream tells an open page what changed, as server-sent events.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	flusher := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	changed, leave := s.watchers.join()
	defer leave()
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	line := ": hello\n\n"
	for {
		if _, err := w.Write([]byte(line)); err != nil {
			return
		}
		if flusher.Flush() != nil {
			return
		}
		select {
		case id := <-changed:
			line = "data: " + id + "\n\n"
		case <-alive.C:
			line = ": alive\n\n"
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}

// servePageChannel is what the page shows of a channel: its roots with their replies.
func (s *Server) servePageChannel(w http.ResponseWriter, r *http.Request) {
	s.writeLocked(w, func() (int, any) {
		c := s.world.channels[r.URL.Query().Get("id")]
		u := s.world.users[r.URL.Query().Get("user")]
		if c == nil || u == nil {
			return http.StatusNotFound, object{"error": "no such channel or user"}
		}
		return http.StatusOK, object{"threads": s.pageThreads(c, viewer{teamID: u.TeamID, metadata: "full"})}
	})
}

// pageRoots is how many threads the page shows of a channel: the newest ones.
const pageRoots = 100

func (s *Server) pageThreads(c *channel, v viewer) []object {
	threads := []object{}
	roots := shown(c.log.top, s.now())
	for _, m := range roots[max(0, len(roots)-pageRoots):] {
		if m.isReply() {
			continue
		}
		replies := []object{}
		for _, reply := range shown(c.log.threads[m.TS], s.now()) {
			replies = append(replies, s.render(c, reply, v))
		}
		threads = append(threads, object{"root": s.render(c, m, v), "replies": replies})
	}
	return threads
}

// serveAvatar paints a plain square whose colour comes from the id.
func (s *Server) serveAvatar(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimSuffix(r.PathValue("name"), ".png")
	s.mu.Lock()
	sum := s.world.derive("avatar/" + id)
	s.mu.Unlock()
	const side = 72
	back := color.RGBA{80 + sum[0]/2, 80 + sum[1]/2, 80 + sum[2]/2, 255}
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{back, color.White})
	for y := range side {
		for x := range side {
			dx, head, body := x-side/2, y-28, y-72
			if dx*dx+head*head < 144 || dx*dx+body*body < 676 {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		http.Error(w, fmt.Sprint("avatar: ", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "max-age=86400")
	_, _ = w.Write(out.Bytes())
}
