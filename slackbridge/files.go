package slackbridge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// shownTypes are the types that a browser may show; anything else is a download, since it comes from strangers.
var shownTypes = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// fileLookup is how long the database may take to find a file.
const fileLookup = 2 * time.Second

type files struct {
	store  *store.Store
	client *Client
	log    *slog.Logger
}

// NewFiles makes the handler of GET /files/ID, which streams a customer's file through the bot token to a signed-in agent of the tenant. 404 for a file that is
// another tenant's, does not exist, or can't be had; 502 where Slack does not answer.
func NewFiles(s *store.Store, c *Client, log *slog.Logger) http.Handler { return &files{s, c, log} }

// ServeHTTP implements http.Handler. The request's context carries the principal.
func (h *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := ochre.PrincipalFrom(r.Context())
	if !ok {
		http.Error(w, "Sign in first.", http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	a, inst, err := h.find(r, p)
	if errors.Is(err, ochre.ErrNotFound) {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	} else if err != nil {
		h.log.Error("a file could not be looked up", "error", err)
		http.Error(w, "The file can't be looked up now; try again.", http.StatusServiceUnavailable)
		return
	}
	resp, err := h.client.Download(r.Context(), inst, *a.SlackURL)
	if err != nil {
		status := http.StatusBadGateway
		out := OutcomeOf(err)
		if out.Kind == Permanent {
			status = http.StatusNotFound
		}
		http.Error(w, out.Message(), status)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	h.stream(w, r, a, resp)
}

func (h *files) find(r *http.Request, p ochre.Principal) (*ochre.Attachment, *ochre.SlackInstallation, error) {
	ctx, cancel := context.WithTimeout(r.Context(), fileLookup)
	defer cancel()
	id, err := ochre.ParseID(ochre.KindAttachment, strings.TrimPrefix(r.URL.Path, "/files/"))
	if err != nil {
		return nil, nil, ochre.ErrNotFound
	}
	found, err := h.store.AttachmentsByID(ctx, p.TenantID, []ochre.ID{id})
	if err != nil {
		return nil, nil, err
	}
	a := found[id]
	if a == nil || a.State != ochre.AttachmentAvailable || a.SlackURL == nil {
		return nil, nil, ochre.ErrNotFound
	}
	m, err := h.store.Message(ctx, p.TenantID, a.MessageID)
	if err != nil {
		return nil, nil, err
	}
	link, err := h.store.ChannelLink(ctx, p.TenantID, m.LinkID)
	if err != nil {
		return nil, nil, err
	}
	inst, err := h.store.SlackInstallation(ctx, p.TenantID, link.InstallationID)
	return a, inst, err
}

// stream passes the bytes on. Nothing in them may act as a page of ours.
func (h *files) stream(w http.ResponseWriter, r *http.Request, a *ochre.Attachment, resp *http.Response) {
	kind := "application/octet-stream"
	if a.MimeType != nil {
		kind, _, _ = mime.ParseMediaType(*a.MimeType)
	}
	disposition := "attachment"
	if shownTypes[kind] {
		disposition = "inline"
	} else {
		kind = "application/octet-stream"
	}
	name := "file"
	if a.Name != nil {
		name = *a.Name
	}
	head := w.Header()
	head.Set("Content-Type", kind)
	head.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	head.Set("Cache-Control", "private, no-store")
	if resp.ContentLength >= 0 {
		head.Set("Content-Length", resp.Header.Get("Content-Length"))
	}
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, resp.Body); err != nil && r.Context().Err() == nil {
		h.log.Warn("a file's transfer ended early", "file", a.GlobalID(), "error", err)
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
}
