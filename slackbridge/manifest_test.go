package slackbridge

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
)

// schema checks JSON against what Slack's schema of app manifests uses of JSON Schema.
type schema struct{ definitions map[string]any }

func (s schema) check(path string, rule map[string]any, v any) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, path+": "+fmt.Sprintf(format, args...)) }
	if ref, ok := rule["$ref"].(string); ok {
		return s.check(path, s.definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any), v)
	}
	kind, _ := rule["type"].(string)
	number := func(key string, otherwise int) int {
		if n, ok := rule[key].(float64); ok {
			return int(n)
		}
		return otherwise
	}
	switch v := v.(type) {
	case map[string]any:
		if kind != "object" {
			wrong("an object, not a %s", kind)
			return problems
		}
		properties, _ := rule["properties"].(map[string]any)
		for key, value := range v {
			one, known := properties[key].(map[string]any)
			if known {
				problems = append(problems, s.check(path+"."+key, one, value)...)
			} else if rule["additionalProperties"] == false {
				wrong("no property %s", key)
			}
		}
		required, _ := rule["required"].([]any)
		for _, key := range required {
			if _, has := v[key.(string)]; !has {
				wrong("lacks %s", key)
			}
		}
	case []any:
		if kind != "array" || len(v) > number("maxItems", 1<<30) {
			wrong("an array of %d", len(v))
		}
		for i, item := range v {
			problems = append(problems, s.check(fmt.Sprintf("%s[%d]", path, i), rule["items"].(map[string]any), item)...)
		}
	case string:
		if n := utf8.RuneCountInString(v); kind != "string" || n < number("minLength", 0) || n > number("maxLength", 1<<30) {
			wrong("a string of %d", n)
		}
		if pattern, ok := rule["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			wrong("%q is not like %s", v, pattern)
		}
	case bool:
		if kind != "boolean" {
			wrong("a boolean, not a %s", kind)
		}
	case float64:
		if kind != "integer" && kind != "number" {
			wrong("a number, not a %s", kind)
		}
	}
	return problems
}

func readSchema(t *testing.T) (schema, map[string]any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/manifest/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	return schema{root["definitions"].(map[string]any)}, root
}

func TestManifestFitsSlacksSchema(t *testing.T) {
	t.Parallel()
	s, root := readSchema(t)
	raw, err := Manifest("https://ochre.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.check("manifest", root, m) {
		t.Error(p)
	}
	// The check can fail.
	m["display_information"].(map[string]any)["nickname"] = "x"
	m["settings"].(map[string]any)["event_subscriptions"].(map[string]any)["request_url"] = "ochre.example.com"
	m["oauth_config"].(map[string]any)["scopes"].(map[string]any)["bot"] = "chat:write"
	if p := s.check("manifest", root, m); len(p) != 3 {
		t.Errorf("a broken manifest: %q", p)
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	raw, err := Manifest("https://ochre.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if got := m.OAuthConfig.RedirectURLs; !slices.Equal(got, []string{"https://ochre.example.com/slack/oauth/callback"}) {
		t.Errorf("redirect URLs %q", got)
	}
	if got := m.Settings.EventSubscriptions.RequestURL; got != "https://ochre.example.com/slack/events" {
		t.Errorf("request URL %q", got)
	}
	if !slices.Equal(m.OAuthConfig.Scopes.Bot, ochre.NeededScopes) {
		t.Errorf("scopes %q", m.OAuthConfig.Scopes.Bot)
	}
	for event := range workspaceEvents {
		if !slices.Contains(m.Settings.EventSubscriptions.BotEvents, event) {
			t.Errorf("%s is handled and not subscribed to", event)
		}
	}
	for _, bad := range []string{"", "ochre.example.com", "ftp://ochre.example.com", "https://user@ochre.example.com", "https://ochre.example.com/?a=b"} {
		if _, err := Manifest(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
