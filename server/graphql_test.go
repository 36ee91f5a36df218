package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/graph/model"
	"github.com/ochrehq/ochre/server"
)

const responseJSON = "application/graphql-response+json"

func TestWellFormedRequests(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for name, c := range map[string]struct {
		method, path, body, accept, contentType, wantType, want string
	}{
		"post":              {"POST", "/graphql", `{"query":"{__typename}"}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"charset":           {"POST", "/graphql", `{"query":"{__typename}"}`, responseJSON, "application/json; charset=UTF-8", responseJSON + "; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"nulls":             {"POST", "/graphql", `{"query":"{__typename}","variables":null,"operationName":null,"extensions":null}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"keys in capitals":  {"POST", "/graphql", `{"query":"{__typename}","QUERY":"{a}","Variables":1}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"both types":        {"POST", "/graphql", `{"query":"{__typename}"}`, "application/json, " + responseJSON + ", text/event-stream", "application/json", responseJSON + "; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"preferred type":    {"POST", "/graphql", `{"query":"{__typename}"}`, "application/json, " + responseJSON + ";q=0.5", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"get":               {"GET", "/graphql?query={__typename}&extensions={}", "", "*/*", "-", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"get named":         {"GET", "/graphql?operationName=B&query=" + url.QueryEscape("query A{__typename} query B{v:viewer{name}}"), "", "", "-", "application/json; charset=utf-8", `{"data":{"v":{"name":"Ada"}}}`},
		"get variables":     {"GET", "/graphql?variables=%7B%22n%22:%22Query%22%7D&query=" + url.QueryEscape("query($n:String!){__type(name:$n){name}}"), "", "", "-", "application/json; charset=utf-8", `{"data":{"__type":{"name":"Query"}}}`},
		"mutation by post":  {"POST", "/graphql", `{"query":"mutation{__typename}"}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Mutation"}}`},
		"white space":       {"POST", "/graphql", " \n{\"query\" : \"{__typename}\", \"variables\" : { } }\n", "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
		"who asks":          {"POST", "/graphql", `{"query":"{viewer{id}}"}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"viewer":{"id":"` + e.admin.GlobalID() + `"}}}`},
		"unknown parameter": {"POST", "/graphql", `{"query":"{__typename}","id":3}`, "", "application/json", "application/json; charset=utf-8", `{"data":{"__typename":"Query"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.send(c.method, c.path, c.body, "Accept", or(c.accept, "-"), "Content-Type", c.contentType)
			if a.status != 200 || a.body != c.want || a.header.Get("Content-Type") != c.wantType {
				t.Errorf("got %d %s %s, want %s %s", a.status, a.header.Get("Content-Type"), a.body, c.wantType, c.want)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("X-Request-Id") == "" {
				t.Errorf("headers are missing: %v", a.header)
			}
		})
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// TestMalformedRequests is the upper part of the table "GraphQL over HTTP": what is no GraphQL request at all.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	e := setup(t)
	const secret = "s3cret-in-body"
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		allow              string
	}{
		"empty":                   {method: "POST", body: "", status: 400},
		"array":                   {method: "POST", body: "[]", status: 400},
		"batch":                   {method: "POST", body: `[{"query":"{__typename}"},{"query":"{__typename}"}]`, status: 400},
		"string":                  {method: "POST", body: `"` + secret + `"`, status: 400},
		"null":                    {method: "POST", body: "null", status: 400},
		"truncated":               {method: "POST", body: `{"query":"{__typename}","x":"` + secret, status: 400},
		"two values":              {method: "POST", body: `{"query":"{__typename}"} {"query":"{__typename}"}`, status: 400},
		"not utf-8":               {method: "POST", body: "{\"query\":\"{__typename}\",\"x\":\"\xff\"}", status: 400},
		"no query":                {method: "POST", body: `{"variables":{}}`, status: 400},
		"query null":              {method: "POST", body: `{"query":null}`, status: 400},
		"query number":            {method: "POST", body: `{"query":7}`, status: 400},
		"query object":            {method: "POST", body: `{"query":{}}`, status: 400},
		"variables list":          {method: "POST", body: `{"query":"{__typename}","variables":["` + secret + `"]}`, status: 400},
		"variables string":        {method: "POST", body: `{"query":"{__typename}","variables":"{}"}`, status: 400},
		"extensions string":       {method: "POST", body: `{"query":"{__typename}","extensions":"` + secret + `"}`, status: 400},
		"operationName number":    {method: "POST", body: `{"query":"{__typename}","operationName":0}`, status: 400},
		"get without query":       {method: "GET", path: "/graphql", status: 400},
		"get variables not json":  {method: "GET", path: "/graphql?query={__typename}&variables={" + secret, status: 400},
		"get variables list":      {method: "GET", path: "/graphql?query={__typename}&variables=[]", status: 400},
		"get two queries":         {method: "GET", path: "/graphql?query={__typename}&query={a}", status: 400},
		"get bad escape":          {method: "GET", path: "/graphql?query={__typename}&x=%zz", status: 400},
		"get not utf-8":           {method: "GET", path: "/graphql?query=%ff", status: 400},
		"gzip":                    {method: "POST", body: "\x1f\x8b", headers: []string{"Content-Encoding", "gzip"}, status: 415},
		"text":                    {method: "POST", body: `{"query":"{__typename}"}`, headers: []string{"Content-Type", "text/plain"}, status: 415},
		"form":                    {method: "POST", body: `query={__typename}`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415},
		"no type":                 {method: "POST", body: `{"query":"{__typename}"}`, headers: []string{"Content-Type", "-"}, status: 415},
		"latin-1":                 {method: "POST", body: `{"query":"{__typename}"}`, headers: []string{"Content-Type", "application/json; charset=iso-8859-1"}, status: 415},
		"too large":               {method: "POST", body: `{"query":"{__typename}","x":"` + strings.Repeat("a", 1<<20) + `"}`, status: 413},
		"mutation by get":         {method: "GET", path: "/graphql?query=mutation{__typename}", status: 405, allow: "POST"},
		"subscription by get":     {method: "GET", path: "/graphql?query=subscription{inboxEvents{__typename}}", status: 405, allow: "POST"},
		"put":                     {method: "PUT", body: "{}", status: 405, allow: "GET, POST"},
		"delete":                  {method: "DELETE", status: 405, allow: "GET, POST"},
		"trace":                   {method: "TRACE", status: 405, allow: "GET, POST"},
		"options":                 {method: "OPTIONS", status: 405, allow: "GET, POST"},
		"wants html":              {method: "POST", body: `{"query":"{__typename}"}`, headers: []string{"Accept", "text/html"}, status: 406},
		"subscription without se": {method: "POST", body: `{"query":"subscription{inboxEvents{__typename}}"}`, status: 406},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.send(c.method, or(c.path, "/graphql"), c.body, c.headers...)
			if a.status != c.status || a.header.Get("Allow") != c.allow {
				t.Fatalf("got %d, Allow %q: %s", a.status, a.header.Get("Allow"), a.body)
			}
			if got := a.codes(t); len(got) != 1 || got[0] != "BAD_USER_INPUT" {
				t.Errorf("codes %v", got)
			}
			if strings.Contains(a.body, `"data"`) || strings.Contains(a.body, secret) {
				t.Errorf("data or what came is in %s", a.body)
			}
		})
	}
}

// TestRefusedDocuments is the part of the table that has 400 under application/graphql-response+json and 200 under application/json.
func TestRefusedDocuments(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for name, c := range map[string]struct {
		query, operation string
		variables        map[string]any
		code             string
	}{
		"syntax":               {query: "{", code: "GRAPHQL_PARSE_FAILED"},
		"empty":                {query: " # nothing\n", code: "GRAPHQL_PARSE_FAILED"},
		"deep":                 {query: strings.Repeat("{a", 1100) + strings.Repeat("}", 1100), code: "GRAPHQL_PARSE_FAILED"},
		"unknown field":        {query: "{viewr{name}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown argument":     {query: "{node(di:1){id}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown type":         {query: "{viewer{...on Agnt{name}}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown enum value":   {query: "{conversations(filter:{status:[OPN]}){nodes{id}}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown directive":    {query: "{viewer{name @skp(if:true)}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"defer":                {query: "{viewer{...@defer{name}}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"defer in a fragment":  {query: "{viewer{...F}} fragment F on Agent{...@defer(if:false){name}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"one stream twice":     {query: "subscription{a:inboxEvents{cursor} b:inboxEvents{cursor}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"twice by a fragment":  {query: "subscription{inboxEvents{cursor} ...S} fragment S on Subscription{b:inboxEvents{cursor}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"two streams":          {query: `subscription{inboxEvents{cursor} conversationEvents(conversationId:"conv_1"){cursor}}`, code: "GRAPHQL_VALIDATION_FAILED"},
		"perhaps no stream":    {query: "subscription{inboxEvents @skip(if:true){cursor}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"perhaps no streams":   {query: "subscription{...@include(if:false){inboxEvents{cursor}}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"fragment cycle":       {query: "{viewer{...A}} fragment A on Agent{...B} fragment B on Agent{...A}", code: "GRAPHQL_VALIDATION_FAILED"},
		"fragment alone":       {query: "fragment A on Agent{name}", code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown operation":    {query: "query A{__typename} query B{__typename}", operation: "C", code: "OPERATION_RESOLUTION_FAILURE"},
		"which operation":      {query: "query A{__typename} query B{__typename}", code: "OPERATION_RESOLUTION_FAILURE"},
		"named, none has it":   {query: "{__typename}", operation: "A", code: "OPERATION_RESOLUTION_FAILURE"},
		"variable missing":     {query: "query($id:ID!){node(id:$id){id}}", code: "GRAPHQL_VALIDATION_FAILED"},
		"variable null":        {query: "query($id:ID!){node(id:$id){id}}", variables: map[string]any{"id": nil}, code: "GRAPHQL_VALIDATION_FAILED"},
		"text for a number":    {query: "query($n:Int){agents(first:$n){nodes{id}}}", variables: map[string]any{"n": "5"}, code: "GRAPHQL_VALIDATION_FAILED"},
		"number for a text":    {query: "query($n:String){agents(after:$n){nodes{id}}}", variables: map[string]any{"n": 5}, code: "GRAPHQL_VALIDATION_FAILED"},
		"fraction for an int":  {query: "query($n:Int){agents(first:$n){nodes{id}}}", variables: map[string]any{"n": 1.5}, code: "GRAPHQL_VALIDATION_FAILED"},
		"enum in another case": {query: "mutation($r:Role!){inviteAgent(input:{email:\"a@b.c\",role:$r}){userErrors{code}}}", variables: map[string]any{"r": "admin"}, code: "GRAPHQL_VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			for mediaType, want := range map[string]int{"application/json": 200, responseJSON: 400} {
				body := map[string]any{"query": c.query, "variables": c.variables}
				if c.operation != "" {
					body["operationName"] = c.operation
				}
				a := e.send("POST", "/graphql", encode(t, body), "Accept", mediaType)
				if a.status != want {
					t.Errorf("%s: got %d, want %d", mediaType, a.status, want)
				}
				if got := a.codes(t); len(got) == 0 || slices.ContainsFunc(got, func(g string) bool { return g != c.code }) {
					t.Errorf("%s: codes %v, want %s: %s", mediaType, got, c.code, a.body)
				}
				if strings.Contains(a.body, `"data"`) || strings.Contains(a.body, "Did you mean") {
					t.Errorf("data or a suggestion in %s", a.body)
				}
			}
		})
	}
}

func TestErrorsOfResolvers(t *testing.T) {
	t.Parallel()
	e := setup(t)
	canary := "postgres://ochre:hunter2@db"
	for name, c := range map[string]struct {
		fail   func() error
		code   string
		status int
		logged bool
	}{
		"our own":       {func() error { return ochre.Errorf(ochre.CodeNotFound, "Nothing with this id exists.") }, "NOT_FOUND", 200, false},
		"wrapped":       {func() error { return fmt.Errorf("read: %w", ochre.Errorf(ochre.CodeForbidden, "Admins only.")) }, "FORBIDDEN", 200, false},
		"unexpected":    {func() error { return errors.New(canary) }, "INTERNAL", 200, true},
		"internal":      {func() error { return &ochre.Error{Code: ochre.CodeInternal, Message: canary} }, "INTERNAL", 200, true},
		"panic":         {func() error { panic(canary) }, "INTERNAL", 200, true},
		"nil pointer":   {func() error { return errors.New(e.fakes.nobody.Email) }, "INTERNAL", 200, true},
		"took too long": {func() error { return fmt.Errorf("query: %w", context.DeadlineExceeded) }, "UNAVAILABLE", 503, true},
	} {
		t.Run(name, func(t *testing.T) {
			e.fakes.queries.viewer = func(context.Context) (*ochre.Agent, error) { return nil, c.fail() }
			a := e.query("{viewer{name}}", nil, "X-Request-Id", "req-"+strings.ReplaceAll(name, " ", "-"))
			got := a.codes(t)
			if a.status != c.status || len(got) != 1 || got[0] != c.code {
				t.Fatalf("got %d %v: %s", a.status, got, a.body)
			}
			if !strings.Contains(a.body, `"data":null`) || !strings.Contains(a.body, `"path":["viewer"]`) || strings.Contains(a.body, "hunter2") {
				t.Errorf("body %s", a.body)
			}
			id := a.header.Get("X-Request-Id")
			if c.code == "INTERNAL" && !strings.Contains(a.body, `"requestId":"`+id+`"`) {
				t.Errorf("no request id in %s", a.body)
			}
			lines := 0
			for line := range strings.Lines(e.log.String()) {
				if strings.Contains(line, "request_id="+id+"\n") && !strings.Contains(line, "msg=request ") {
					lines++
				}
			}
			if want := map[bool]int{true: 1, false: 0}[c.logged]; lines != want {
				t.Errorf("logged %d times, want %d", lines, want)
			}
		})
	}
}

func TestScalarsAreTheCallersFault(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for _, value := range []any{"yesterday", 5, true, []any{}, map[string]any{"a": 1}} {
		for query, says := range map[string]string{
			`mutation($v:Time!){snoozeConversation(input:{conversationId:"conv_1",until:$v}){userErrors{code}}}`:                   "RFC 3339",
			`mutation($v:EventCursor!){postReply(input:{conversationId:"conv_1",body:"a",ifUnchangedSince:$v}){userErrors{code}}}`: "EventCursor is a string",
		} {
			if value == "yesterday" && says != "RFC 3339" {
				continue // a text may be a cursor
			}
			a := e.query(query, map[string]any{"v": value})
			if got := a.codes(t); len(got) != 1 || got[0] != "BAD_USER_INPUT" || !strings.Contains(a.body, says) || strings.Contains(a.body, "json.Number") || strings.Contains(a.body, "map[") {
				t.Errorf("%v: got %v: %s", value, got, a.body)
			}
		}
	}
}

// TestOneOf holds @oneOf to literals and variables alike, also inside other inputs and lists.
func TestOneOf(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.fakes.queries.conversation = func(context.Context, model.ConversationBy) (*ochre.Conversation, error) { return nil, nil }
	const byVariable = "query($by:ConversationBy!){conversation(by:$by){id}}"
	upsert := "mutation($i:UpsertOrganizationInput!){upsertOrganization(input:$i){userErrors{code}}}"
	for name, c := range map[string]struct {
		query     string
		variables map[string]any
		refused   bool
	}{
		"literal":              {query: `{conversation(by:{number:1}){id}}`},
		"two in a literal":     {query: `{conversation(by:{number:1,id:"conv_1"}){id}}`, refused: true},
		"none in a literal":    {query: `{conversation(by:{}){id}}`, refused: true},
		"null in a literal":    {query: `{conversation(by:{number:null}){id}}`, refused: true},
		"variable inside":      {query: `query($n:Int!){conversation(by:{number:$n}){id}}`, variables: map[string]any{"n": 1}},
		"nullable inside":      {query: `query($n:Int){conversation(by:{number:$n}){id}}`, variables: map[string]any{"n": 1}, refused: true},
		"variable":             {query: byVariable, variables: map[string]any{"by": map[string]any{"number": 1}}},
		"two in a variable":    {query: byVariable, variables: map[string]any{"by": map[string]any{"number": 1, "id": "conv_1"}}, refused: true},
		"one and a null":       {query: byVariable, variables: map[string]any{"by": map[string]any{"number": 1, "id": nil}}, refused: true},
		"none in a variable":   {query: byVariable, variables: map[string]any{"by": map[string]any{}}, refused: true},
		"null in a variable":   {query: byVariable, variables: map[string]any{"by": map[string]any{"number": nil}}, refused: true},
		"extra __typename":     {query: byVariable, variables: map[string]any{"by": map[string]any{"number": 1, "__typename": "x"}}, refused: true},
		"default of two":       {query: `query($by:ConversationBy!={number:1,id:"a"}){conversation(by:$by){id}}`, refused: true},
		"two inside an input":  {query: upsert, variables: map[string]any{"i": map[string]any{"name": "A", "by": map[string]any{"id": "a", "externalId": "b"}}}, refused: true},
		"none inside an input": {query: upsert, variables: map[string]any{"i": map[string]any{"name": "A", "by": map[string]any{}}}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.query(c.query, c.variables, "Accept", responseJSON)
			got := a.codes(t)
			if c.refused && (a.status != 400 || len(got) == 0 || got[0] != "GRAPHQL_VALIDATION_FAILED") || !c.refused && (a.status != 200 || len(got) > 0) {
				t.Errorf("got %d %v: %s", a.status, got, a.body)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *server.Config, _ *setting) { c.Limiter = server.NewNodeLimiter(0.1, 2) })
	for i := range 3 {
		a := e.query("{__typename}", nil)
		if i < 2 && a.status != 200 {
			t.Fatalf("request %d: %d %s", i, a.status, a.body)
		}
		if i == 2 && (a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "10" || a.codes(t)[0] != "RATE_LIMITED") {
			t.Errorf("got %d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
		}
	}
	other, _, err := e.desk.CreateToken(t.Context(), e.admin.Email, "second")
	must(t, err)
	if a := e.query("{__typename}", nil, "Authorization", "Bearer "+other); a.status != http.StatusTooManyRequests {
		t.Errorf("another token of the agent has turns of its own: %d", a.status)
	}
}
