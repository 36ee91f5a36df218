package server

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/ochrehq/ochre"
)

// assets are the pages' templates, styles and scripts. assets/graphiql is built from web/graphiql and committed, so that `go build`
// needs nothing else.
//
//go:embed assets
var assets embed.FS

var templates = template.Must(template.ParseFS(assets, "assets/*.html"))

// pages are the few pages of this package: signing in and out, a start page, GraphiQL.
type pages struct {
	auth         *Auth
	log          *slog.Logger
	socketOrigin string // ws://HOST, for browsers whose 'self' leaves WebSockets out
}

func (p *pages) routes(handle func(pattern string, f http.HandlerFunc)) {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // only for a malformed name
	}
	static := http.FileServerFS(files)
	handle("GET /{$}", p.signedIn("start.html"))
	handle("GET /conversations/{number}", p.signedIn("conversation.html"))
	handle("GET /signin", p.askToSignIn)
	handle("POST /signin", p.signIn)
	handle("POST /signout", p.signOut)
	handle("GET /graphiql", p.graphiql)
	handle("GET /graphiql/{file}", func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("file", "graphiql/"+r.PathValue("file"))
		p.file(static, w, r)
	})
	handle("GET /assets/{file}", func(w http.ResponseWriter, r *http.Request) { p.file(static, w, r) })
}

// file serves one of the assets, but neither templates nor lists of folders.
func (*pages) file(static http.Handler, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".css") {
		http.NotFound(w, r)
		return
	}
	r = r.Clone(r.Context())
	r.URL = &url.URL{Path: "/" + name}
	w.Header().Set("Cache-Control", "no-cache")
	static.ServeHTTP(w, r)
}

// signedIn serves a page whose script reads from /graphql as who is signed in; who is not is sent to sign in.
func (p *pages) signedIn(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, err := p.auth.cookie(r.Context(), w, r)
		switch {
		case ochre.CodeOf(err) == ochre.CodeUnauthenticated:
			http.Redirect(w, r, "/signin", http.StatusSeeOther)
		case err != nil:
			p.fail(w, r, err)
		default:
			p.render(w, r.WithContext(ctx), http.StatusOK, name, nil)
		}
	}
}

// askToSignIn shows a button, because the programs that look at links in mails and chats open them too: only a POST uses the link up.
func (p *pages) askToSignIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "strict-origin") // the address holds a secret
	p.render(w, r, http.StatusOK, "signin.html", signInPage{Token: r.URL.Query().Get("token")})
}

type signInPage struct {
	Token   string
	Problem string
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) {
	if err := p.auth.cross.Check(r); err != nil {
		p.render(w, r, http.StatusForbidden, "signin.html", signInPage{Problem: "This request came from another site."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := r.ParseForm(); err != nil {
		p.render(w, r, http.StatusBadRequest, "signin.html", signInPage{Problem: "The form could not be read."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), authLimit)
	defer cancel()
	principal, err := p.auth.desk.SignIn(ctx, r.PostForm.Get("token"))
	if err == nil {
		err = p.auth.sessions.begin(ctx, w, r, principal)
	}
	switch {
	case ochre.CodeOf(err) == ochre.CodeUnauthenticated:
		p.render(w, r, http.StatusUnauthorized, "signin.html", signInPage{Problem: "This link was used before or has expired."})
	case err != nil:
		p.fail(w, r, authError(err))
	default:
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	if err := p.auth.cross.Check(r); err != nil {
		p.render(w, r, http.StatusForbidden, "signin.html", signInPage{Problem: "This request came from another site."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), authLimit)
	defer cancel()
	if err := p.auth.sessions.end(ctx, w, r); err != nil {
		p.fail(w, r, authError(err))
		return
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// graphiql needs no signing in: it is a page like any other GraphQL client, and a token can be typed into its headers.
func (p *pages) graphiql(w http.ResponseWriter, r *http.Request) {
	// Its editor writes styles into the page; scripts are files only.
	p.contentSecurity(w, "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; form-action 'none'")
	p.renderAs(w, r, http.StatusOK, "graphiql.html", nil)
}

func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	p.contentSecurity(w, "style-src 'self'; img-src 'self' data:; form-action 'self'")
	p.renderAs(w, r, status, name, data)
}

func (p *pages) renderAs(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // a client that went needs no answer
}

func (p *pages) contentSecurity(w http.ResponseWriter, rest string) {
	connect := strings.TrimSpace("connect-src 'self' " + p.socketOrigin)
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self'; "+connect+"; frame-ancestors 'none'; base-uri 'none'; "+rest)
}

// fail answers a page that can't be shown now.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	id := RequestID(r.Context())
	p.log.ErrorContext(r.Context(), "page failed", "error", err, "request_id", id)
	status := http.StatusInternalServerError
	if ochre.CodeOf(err) == ochre.CodeUnavailable {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, "Something went wrong. Try again; if it stays, tell your admin this request id: "+id, status)
}

// files admits who may ask for files: by token or cookie, reading only. A page of another site can't read the answer
// (Cross-Origin-Resource-Policy), and its requests come without the cookie (SameSite).
func (a *Auth) files(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			methodNotAllowed(w, r, "GET, HEAD", "Files can only be read.")
			return
		}
		var ctx context.Context
		var err error
		if r.Header.Get("Authorization") != "" {
			ctx, err = a.bearer(r.Context(), r.Header["Authorization"])
		} else {
			ctx, err = a.cookie(r.Context(), w, r)
		}
		if err != nil {
			logCause(r.Context(), log, err)
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// logCause logs what an *ochre.Error keeps from the client's eyes, if anything.
func logCause(ctx context.Context, log *slog.Logger, err error) {
	var e *ochre.Error
	if errors.As(err, &e) && e.Err == nil {
		return
	}
	log.WarnContext(ctx, "request refused", "error", err, "request_id", RequestID(ctx))
}

// socketOrigin is the origin of the WebSockets of a public URL.
func socketOrigin(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return ""
	}
	if u.Scheme == "https" {
		return "wss://" + u.Host
	}
	return "ws://" + u.Host
}
