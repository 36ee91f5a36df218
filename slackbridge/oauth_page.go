package slackbridge

import (
	"html/template"
	"net/http"
)

// outcomePage is a page of the walk that did not reach its end.
type outcomePage struct {
	Title string
	What  string
	Next  string
	Link  string // a path of our own to go back to
}

var outcomeTemplate = template.Must(template.New("outcome").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>{{.Title}} · Ochre</title></head>
<body><main>
<h1>{{.Title}}</h1>
<p>{{.What}}</p>
<p><strong>Next step:</strong> {{.Next}}</p>
<p><a href="{{.Link}}">Back to Ochre</a></p>
</main></body>
</html>
`))

// show answers with a page that needs nothing else and can't be framed.
func (h *OAuth) show(w http.ResponseWriter, r *http.Request, status int, p outcomePage) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if err := outcomeTemplate.Execute(w, p); err != nil {
		h.o.Log.DebugContext(r.Context(), "a page was not read to its end", "error", err)
	}
}

func page400(title, what, next string) outcomePage {
	return outcomePage{Title: title, What: what, Next: next, Link: "/"}
}

// denied is the page for a walk that ended in Slack without a code. Slack's word is shown only where we know it: anybody can write another into
// the address.
func denied(said, returnTo string) outcomePage {
	p := outcomePage{
		Title: "Slack did not connect the workspace", What: "Slack sent you back without a permission, and nothing was connected.",
		Next: "If your workspace needs an admin's approval, wait until it is given. Then start again from Ochre's settings.", Link: returnTo,
	}
	if said == "access_denied" {
		p.Title, p.What = "You did not allow Ochre", "Slack was told not to install Ochre, and nothing was connected."
		p.Next = "Start again from Ochre's settings and choose Allow. If the button is not there, your workspace needs an admin's approval: ask for it in Slack, then start again."
	}
	return p
}

// exchangeFailed is the page for a code that Slack did not turn into a token.
func exchangeFailed(o Outcome, returnTo string) outcomePage {
	p := outcomePage{
		Title: "Slack did not answer as it should", What: "Ochre asked Slack to finish the connection, and that failed (" + o.Code + "). Nothing was connected.",
		Next: "Wait a minute, then start again from Ochre's settings.", Link: returnTo,
	}
	switch o.Code {
	case "invalid_code", "code_already_used", "code_expired":
		p.Title, p.What = "Slack's permission has run out", "The permission that Slack gave was used already or is older than 10 minutes ("+o.Code+"). Nothing was connected."
		p.Next = "Start again from Ochre's settings."
	case "invalid_client_id", "bad_client_secret", "bad_redirect_uri", "oauth_authorization_url_mismatch", "invalid_client":
		p.Title, p.What = "Ochre's Slack app is not set up right", "Slack does not know Ochre by the settings that it has ("+o.Code+"). Nothing was connected."
		p.Next = "Whoever runs this Ochre must compare SLACK_CLIENT_ID, SLACK_CLIENT_SECRET and OCHRE_PUBLIC_URL with the app's page on api.slack.com/apps."
	}
	return p
}
