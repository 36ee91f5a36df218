//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/ochrehq/ochre/internal/testenv"
)

func try(method, address, body string, header http.Header) (status int, answer string, err error) {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := browser.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// company makes a company on a new database and serves it, with a token of its admin.
func company(t *testing.T) (node *process, at, token string) {
	t.Helper()
	e := nodeEnv(testenv.Database(t))
	if got := command(t, e, "tenant", "create", "Acme", "--admin", "ada@acme.example"); got.code != 0 {
		t.Fatal(got)
	}
	token = strings.TrimSpace(command(t, e, "token", "create", "--agent", "ada@acme.example").out)
	node = start(t, e, "serve")
	return node, served(node), token
}

// TestDrainUnderLoad ends a node that is busy with queries, Slack's events and subscribers: what was begun gets its whole answer, sockets are
// told to come back, and the exit code is 0.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	node, at, token := company(t)
	const sockets, clients = 5, 4
	statuses := make(chan websocket.StatusCode, sockets)
	for range sockets {
		conn := subscribe(t, at, token)
		go func() { statuses <- ending(conn) }()
	}
	var all sync.WaitGroup
	var answered atomic.Int64
	bad := make(chan string, 2*clients)
	busy := make(chan struct{})
	var once sync.Once
	load := func(request func() (int, string, error)) {
		all.Go(func() {
			for {
				status, body, err := request()
				if err != nil {
					if !over(err) {
						bad <- err.Error()
					}
					return
				}
				if status != http.StatusOK {
					bad <- fmt.Sprint(status, " ", body)
					return
				}
				if answered.Add(1) == 100 {
					once.Do(func() { close(busy) })
				}
			}
		})
	}
	for range clients {
		load(func() (int, string, error) {
			return try(http.MethodPost, at+"/graphql", `{"query":"{ viewer { name } conversations { nodes { id } } }"}`,
				http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}})
		})
		load(func() (int, string, error) {
			event := `{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"message","channel":"C1","user":"U1","text":"hi","ts":"1.000001"}}`
			return try(http.MethodPost, at+"/slack/events", event, signed(event, "of-the-signature"))
		})
	}
	<-busy
	began := time.Now()
	node.signal(syscall.SIGTERM)
	if code := node.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	all.Wait()
	for len(bad) > 0 {
		t.Error("a request was answered by", <-bad)
	}
	for range sockets {
		if status := <-statuses; status != websocket.StatusServiceRestart {
			t.Errorf("a socket was closed with %d, want 1012", status)
		}
	}
}

// over tells whether the connection was refused, or ended before anything was answered on it, as a node's end has it: whoever asked may ask again.
func over(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

// subscribe opens a socket with a running subscription.
func subscribe(t *testing.T, at, token string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(at, "http", "ws", 1)+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: browser,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	type frame map[string]any
	for _, step := range []struct {
		write frame
		read  string
	}{
		{frame{"type": "connection_init", "payload": frame{"authorization": "Bearer " + token}}, "connection_ack"},
		{frame{"type": "subscribe", "id": "1", "payload": frame{"query": "subscription { inboxEvents { __typename } }"}}, "next"},
	} {
		var got frame
		if err := errors.Join(wsjson.Write(ctx, conn, step.write), wsjson.Read(ctx, conn, &got)); err != nil || got["type"] != step.read {
			t.Fatalf("%v, %v; want %s", got, err, step.read)
		}
	}
	return conn
}

// ending reads to the end and tells the close code.
func ending(conn *websocket.Conn) websocket.StatusCode {
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

func signed(body, secret string) http.Header {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + now + ":" + body))
	return http.Header{
		"Content-Type": {"application/json"}, "X-Slack-Request-Timestamp": {now}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// stuck opens a request whose body never comes, and returns when the node works on it.
func stuck(t *testing.T, at, token string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", token)
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	if n, err := conn.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 100 ")) {
		t.Fatalf("%v: %s", err, answer[:n])
	}
}

// TestDrainIsBounded has a request that would never end.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	node, at, token := company(t)
	stuck(t, at, token)
	began := time.Now()
	node.signal(syscall.SIGTERM)
	if code := node.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestSecondSignalEndsAtOnce interrupts a drain that would take seconds.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		node, at, token := company(t)
		stuck(t, at, token)
		node.signal(s)
		node.says(node.err, `"msg":"draining"`)
		node.signal(s)
		began := time.Now()
		if code := node.wait(patience); code != 128+int(s) {
			t.Errorf("exit code %d, want %d", code, 128+int(s))
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	}
}
