//go:build unix

package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"golang.org/x/sys/unix"

	"github.com/ochrehq/ochre/graph/generated"
	"github.com/ochrehq/ochre/server"
)

// newExecutor is the real schema's executor alone, with page sizes in the cost of two lists.
func newExecutor(l server.Limits) *executor.Executor {
	c := generated.Config{Resolvers: &fakes{}}
	page := func(child int, first *int) int {
		if first == nil {
			return 25 * child
		}
		return *first * child
	}
	c.Complexity.Query.Agents = func(child int, first *int, _ *string, _ *int, _ *string) int { return page(child, first) }
	return server.NewExecutor(generated.NewExecutableSchema(c), server.ExecutorOptions{Limits: l})
}

// create is what becomes of a document before execution: the code of its first error, or "".
func create(exec *executor.Executor, document string) string {
	ctx := graphql.StartOperationTrace(context.Background())
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: document})
	if len(errs) == 0 {
		return ""
	}
	code, _ := exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors[0].Extensions["code"].(string)
	return code
}

func TestLimits(t *testing.T) {
	t.Parallel()
	exec := newExecutor(server.Limits{Tokens: 100, Depth: 5, Aliases: 3, Directives: 4, Fields: 20, Comparisons: 50, Cost: 500})
	for name, c := range map[string]struct{ document, code string }{
		"100 tokens":             {"{nodes(ids:[" + strings.Repeat("1,", 88) + "]){id}}", ""},
		"101 tokens":             {"{nodes(ids:[" + strings.Repeat("1,", 89) + "]){id}}", "QUERY_TOO_LARGE"},
		"tokens before syntax":   {strings.Repeat("{", 101), "QUERY_TOO_LARGE"},
		"5 levels":               {"{agents{edges{node{slackIdentities{teamId}}}}}", ""},
		"6 levels":               {"{agents{edges{node{slackIdentities{...{teamId}}}}}}", "QUERY_TOO_COMPLEX"},
		"6 levels in fragments":  {"{agents{edges{...E}}} fragment E on AgentEdge{node{...A}} fragment A on Agent{slackIdentities{...{teamId}}}", "QUERY_TOO_COMPLEX"},
		"3 aliases":              {"{a:__typename b:__typename c:__typename}", ""},
		"4 aliases":              {"{a:__typename b:__typename c:__typename d:__typename}", "QUERY_TOO_COMPLEX"},
		"4 aliases by fragments": {"{viewer{...A slackIdentities{...B ...B}}} fragment A on Agent{a:id b:id} fragment B on SlackIdentity{c:teamId}", "QUERY_TOO_COMPLEX"},
		"alias of the same name": {"{__typename:__typename viewer:viewer{id:id name:name email:email}}", ""},
		"4 directives":           {"{__typename" + strings.Repeat("@skip(if:false)@include(if:true)", 1) + " viewer@skip(if:false){id@skip(if:false)}}", ""},
		"5 directives":           {"query @a{__typename @b @c @d @e}", "QUERY_TOO_COMPLEX"},
		"on variables too":       {"query($a:Int@a $b:Int@a $c:Int@a){__typename @b @c}", "QUERY_TOO_COMPLEX"},
		"unused fragments too":   {"{__typename} fragment A on Query{__typename @a@b@c@d@e}", "QUERY_TOO_COMPLEX"},
		"fragment bomb":          {"{...A} fragment A on Query{...B ...B} fragment B on Query{...C ...C} fragment C on Query{...D ...D} fragment D on Query{v:__typename __typename}", "QUERY_TOO_COMPLEX"},
		"one field often":        {"{" + strings.Repeat("__typename ", 11) + "}", "QUERY_TOO_COMPLEX"},
		"often below":            {"{" + strings.Repeat("viewer{id id id} ", 3) + "}", "QUERY_TOO_COMPLEX"},
		"cost 500":               {"{agents(first:100){nodes{id name email}}}", ""},
		"cost beyond":            {"{agents(first:100){nodes{id name email role active}}}", "QUERY_TOO_COMPLEX"},
		"cost by default page":   {"{agents{edges{cursor node{id name}} nodes{id name email role active slackIdentities{teamId userId}}}}", ""},
		"the schema's cost":      {"{__schema{queryType{name}}}", "QUERY_TOO_COMPLEX"},
		"a cycle is no size":     {"{...A} fragment A on Query{...B} fragment B on Query{...A}", "GRAPHQL_VALIDATION_FAILED"},
	} {
		for _, again := range []string{"", ", from the cache"} {
			if got := create(exec, c.document); got != c.code {
				t.Errorf("%s%s: %q, want %q", name, again, got, c.code)
			}
		}
	}
}

func TestOrdinaryDocumentsPass(t *testing.T) {
	t.Parallel()
	exec := newExecutor(server.Limits{})
	// The introspection query of graphql-js, with its nine levels of ofType.
	of := strings.Repeat("ofType{kind name ", 9) + strings.Repeat("}", 9)
	introspection := `query IntrospectionQuery{__schema{queryType{name kind} mutationType{name kind} subscriptionType{name kind} types{...FullType}
		directives{name description locations args(includeDeprecated:true){...InputValue}}}}
		fragment FullType on __Type{kind name description fields(includeDeprecated:true){name description args(includeDeprecated:true){...InputValue}
		type{...TypeRef} isDeprecated deprecationReason} inputFields(includeDeprecated:true){...InputValue} interfaces{...TypeRef}
		enumValues(includeDeprecated:true){name description isDeprecated deprecationReason} possibleTypes{...TypeRef}}
		fragment InputValue on __InputValue{name description type{...TypeRef} defaultValue isDeprecated deprecationReason}
		fragment TypeRef on __Type{kind name ` + of + `}`
	if got := create(exec, introspection); got != "" {
		t.Errorf("introspection: %s", got)
	}
	// An inbox as Relay writes it: fragments of components, each with the ids it needs.
	var inbox strings.Builder
	inbox.WriteString("query Inbox{viewer{id} conversations(first:50){edges{cursor node{__typename id ")
	for i := range 20 {
		fmt.Fprintf(&inbox, "...C%d ", i)
	}
	inbox.WriteString("}} pageInfo{hasNextPage endCursor}}}")
	for i := range 20 {
		fmt.Fprintf(&inbox, " fragment C%d on Conversation{__typename id number title organization{id name} assignee{id name avatarUrl}}", i)
	}
	if got := create(exec, inbox.String()); got != "" {
		t.Errorf("inbox: %s", got)
	}
}

// TestHostileDocumentsCostLittle holds every document that a client may send to 100 ms of CPU, whether it is refused or not.
func TestHostileDocumentsCostLittle(t *testing.T) {
	t.Parallel()
	exec := newExecutor(server.Limits{})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for name, c := range map[string]struct{ document, code string }{
		"one field in 120 KB":   {"{" + strings.Repeat("__typename ", 11_000) + "}", "QUERY_TOO_LARGE"},
		"one object in 120 KB":  {"{" + strings.Repeat("viewer{id} ", 11_000) + "}", "QUERY_TOO_LARGE"},
		"one field, 990 times":  {"{" + strings.Repeat("__typename ", 990) + "}", "QUERY_TOO_COMPLEX"},
		"one field, 440 times":  {"{" + strings.Repeat("__typename ", 440) + "}", ""},
		"objects in objects":    {"{" + strings.Repeat("viewer{"+strings.Repeat("slackIdentities{teamId} ", 10)+"} ", 18) + "}", ""},
		"nested inline":         {"{" + strings.Repeat("...{viewer{id} ", 300) + strings.Repeat("}", 300) + "}", "QUERY_TOO_COMPLEX"},
		"nested inline, fewer":  {"{" + strings.Repeat("...{viewer{id id id id id id} ", 20) + strings.Repeat("}", 20) + "}", ""},
		"fragment bomb":         {bomb(300), "QUERY_TOO_COMPLEX"},
		"chain of fragments":    {chain(400), "QUERY_TOO_COMPLEX"},
		"chain of 70":           {chain(70), ""},
		"900 operations":        {strings.Repeat("{__typename}", 900), "GRAPHQL_VALIDATION_FAILED"},
		"one argument, often":   {"{node(" + strings.Repeat("id:1 ", 1200) + "){id}}", "GRAPHQL_VALIDATION_FAILED"},
		"one input, often":      {"{conversation(by:{" + strings.Repeat("number:1 ", 1200) + "}){id}}", "GRAPHQL_VALIDATION_FAILED"},
		"list in list":          {"{nodes(ids:" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + "){id}}", "GRAPHQL_VALIDATION_FAILED"},
		"the schema, twice":     {"{__schema{queryType{name}} __type(name:\"Query\"){name}}", ""},
		"the schema, thrice":    {"{a:__schema{queryType{name}} b:__schema{queryType{name}} __type(name:\"Query\"){name}}", "QUERY_TOO_COMPLEX"},
		"a megabyte of text":    {`{node(id:"` + strings.Repeat("a", 1<<20-100) + `"){id}}`, ""},
		"a megabyte of space":   {"{" + strings.Repeat(" ", 1<<20-100) + "__typename}", ""},
		"a megabyte of comment": {"{" + strings.Repeat("#\n", 1<<19-100) + "__typename}", "QUERY_TOO_LARGE"},
	} {
		start := cpuTime(t)
		if got := create(exec, c.document); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
		if took := cpuTime(t) - start; took > slowdown*100*time.Millisecond {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// cpuTime is what the test's thread has used so far.
func cpuTime(t *testing.T) time.Duration {
	var now unix.Timespec
	must(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now))
	return time.Duration(now.Nano())
}

// bomb doubles with each of n fragments.
func bomb(n int) string {
	var b strings.Builder
	b.WriteString("{...F0}")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Query{...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Query{__typename}", n)
	return b.String()
}

// chain is n fragments, each spread by the one before.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("{...F0}")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Query{__typename ...F%d}", i, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Query{__typename}", n)
	return b.String()
}
