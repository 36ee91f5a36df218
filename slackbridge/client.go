// Package slackbridge is the way to Slack and back: events, OAuth, channels and sending. It is the only package that knows slack-go and the shapes
// of Slack's API; inwards it speaks in the nouns of package ochre to the desk.
package slackbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
)

// DefaultAPIURL is where Slack's Web API is.
const DefaultAPIURL = "https://slack.com/api/"

// Limits of one call. A caller's own deadline may be shorter.
const (
	callTimeout = 30 * time.Second
	dialTimeout = 5 * time.Second
	maxAnswer   = 16 << 20 // bytes of one answer; a page of 999 messages has a few megabytes
)

// ClientOptions configures a Client.
type ClientOptions struct {
	APIURL string // ends in a slash; empty: DefaultAPIURL
	Keys   *secret.Keys
	// Refused is told when Slack answered that the token of inst is dead. It may be called several times for one token, at once.
	Refused func(ctx context.Context, inst *ochre.SlackInstallation, code string)
}

// Client is the only place that talks to Slack's Web API. Calls are never repeated by itself: each is one attempt, whose error, an
// *Outcome, says what is known of it. It is safe for concurrent use and keeps no token in the clear.
type Client struct {
	apiURL    *url.URL
	keys      *secret.Keys
	refused   func(context.Context, *ochre.SlackInstallation, string)
	calls     *http.Client
	downloads *http.Client
}

// NewClient makes a Client. It refuses an API URL that is none or does not end in a slash.
func NewClient(o ClientOptions) (*Client, error) {
	if o.APIURL == "" {
		o.APIURL = DefaultAPIURL
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || !strings.HasSuffix(u.Path, "/") {
		return nil, errors.New(`the Slack API URL must look like https://slack.com/api/, with the slash at its end`)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = dialTimeout
	transport.MaxIdleConnsPerHost = 32
	transport.ResponseHeaderTimeout = callTimeout
	c := &Client{apiURL: u, keys: o.Keys, refused: o.Refused}
	c.calls = &http.Client{
		Transport: limitAnswer{transport}, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a redirected POST would lose its body
	}
	c.downloads = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect} // a file may take as long as its reader wants
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() {
	c.calls.CloseIdleConnections()
	c.downloads.CloseIdleConnections()
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (t limitAnswer) CloseIdleConnections() { t.next.CloseIdleConnections() }

// limitAnswer bounds the size of an answer, and marks its end by a broken connection so that classify can tell it from garbage.
type limitAnswer struct{ next *http.Transport }

func (t limitAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &answer{resp.Body, maxAnswer}
	}
	return resp, err
}

type answer struct {
	io.ReadCloser
	left int64
}

func (a *answer) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errors.New("the answer is too long")
	}
	n, err := a.ReadCloser.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errCut, err)
	}
	return n, err
}

// token opens the installation's bot token.
func (c *Client) token(inst *ochre.SlackInstallation) (string, error) {
	if !inst.Connected {
		return "", &Outcome{Kind: Disconnected, Code: "not_connected"}
	}
	plain, err := c.keys.Open(inst.TokenSealed, desk.TokenContext(inst.SlackTeamID))
	if err != nil {
		// Not the token's fault: the operator took away a former secret. Nothing is disconnected, and it passes once it is put back.
		return "", &Outcome{Kind: NotSent, Code: "token_unreadable", Err: fmt.Errorf("token of workspace %s: %w", inst.SlackTeamID, err)}
	}
	return string(plain), nil
}

// with runs one call under the installation's token, and tells Refused of a dead one.
func (c *Client) with(ctx context.Context, inst *ochre.SlackInstallation, f func(ctx context.Context, token string) error) error {
	token, err := c.token(inst)
	if err != nil {
		return err
	}
	err = c.attempt(ctx, func(ctx context.Context) error { return f(ctx, token) })
	if o := OutcomeOf(err); o.Kind == Disconnected && c.refused != nil {
		c.refused(context.WithoutCancel(ctx), inst, o.Code)
	}
	return err
}

// attempt runs one call and judges its error.
func (c *Client) attempt(ctx context.Context, f func(context.Context) error) error {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	return classify(f(ctx), connected.Load())
}

// slackGo is slack-go's client for one call, without any retry: a repeated chat.postMessage would be a second message.
func (c *Client) slackGo(token string) *slack.Client {
	return slack.New(token, slack.OptionAPIURL(c.apiURL.String()), slack.OptionHTTPClient(c.calls))
}

// call posts a form to a method and decodes the answer into out. It is for methods whose answer slack-go would cut: it takes the token as
// a header and errors in slack-go's types.
func (c *Client) call(ctx context.Context, token, method string, args url.Values, out any) error {
	req, err := c.request(ctx, method, args)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return c.send(req, out)
}

func (c *Client) request(ctx context.Context, method string, args url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.apiURL.JoinPath(method).String(), strings.NewReader(args.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make the call of %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// send makes one attempt of a request. out may be nil.
func (c *Client) send(req *http.Request, out any) error {
	resp, err := c.calls.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusTooManyRequests {
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			seconds = int(defaultRetryAfter / time.Second)
		}
		return &slack.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second}
	}
	if resp.StatusCode != http.StatusOK {
		return slack.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read Slack's answer: %w", err)
	}
	var head struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return fmt.Errorf("read Slack's answer: %w", err)
	}
	switch {
	case !head.OK && head.Error == "":
		return errors.New("Slack's answer is neither ok nor an error")
	case !head.OK:
		return slack.SlackErrorResponse{Err: head.Error}
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read Slack's answer: %w", err)
	}
	return nil
}

// page is where a list that comes in pages goes on.
type page struct {
	Metadata struct {
		NextCursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}
