package desk_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/store"
)

// These tests are promise 4: a note can't reach Slack. They fail when somebody opens a way, not only when somebody takes one.

// TestDatabaseRefusesNotes tries to send a note as somebody would who can write SQL.
func TestDatabaseRefusesNotes(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	b.reply("hello") // so that there is a lane
	n, _, err := b.desk.AddNote(t.Context(), b.By(b.Agent), desk.AddNoteInput{ConversationID: global(b.c), Body: "secret"})
	b.must(err)
	const item = "INSERT INTO lane_items (lane_id, queue, tenant_id, kind, message_id, payload, created_at) SELECT lane_id, 'OUTBOUND', tenant_id, "
	const from = ", '{}', created_at FROM lane_items WHERE tenant_id = $1 AND queue = 'OUTBOUND'"
	tenant, note := b.Tenant.ID.String(), n.ID.String()
	for what, try := range map[string]struct {
		sql, refused string
		args         []any
	}{
		"as the message":  {item + "'POST', $2::uuid" + from, "23503", []any{tenant, note}},
		"of no message":   {item + "'POST', null" + from, "23514", []any{tenant}},
		"by another kind": {item + "'NOTE', message_id" + from, "23514", []any{tenant}},
		"into its lane from jobs": {`INSERT INTO lane_items (lane_id, queue, tenant_id, kind, payload, created_at)
			SELECT lane_id, 'JOB', tenant_id, 'POST', '{}', created_at FROM lane_items WHERE tenant_id = $1 AND queue = 'OUTBOUND'`, "23503", []any{tenant}},
		"instead of the message": {"UPDATE lane_items SET message_id = $2::uuid WHERE tenant_id = $1 AND queue = 'OUTBOUND'", "23503", []any{tenant, note}},
		"as a part of a message": {`INSERT INTO message_parts (tenant_id, message_id, part, kind, link_id, delivery_state)
			SELECT tenant_id, $2::uuid, 1, 'TEXT', link_id, 'QUEUED' FROM messages WHERE tenant_id = $1 LIMIT 1`, "23503", []any{tenant, note}},
	} {
		_, err := b.sql.Exec(t.Context(), try.sql, try.args...)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != try.refused {
			t.Errorf("%s: %v, want SQLSTATE %s", what, err, try.refused)
		}
	}
	var named int
	b.must(b.sql.QueryRow(t.Context(), "SELECT count(*) FROM pg_constraint WHERE confrelid = 'notes'::regclass").Scan(&named))
	if named > 0 {
		t.Errorf("%d foreign keys name notes: nothing may, least of all what is sent", named)
	}

	for what, it := range map[string]store.NewItem{
		"the note's id":     {Queue: store.QueueOutbound, Key: "channel:" + b.link.ID.String(), Kind: desk.ItemPost, MessageID: &n.ID},
		"the note's words":  {Queue: store.QueueOutbound, Key: "channel:" + b.link.ID.String(), Kind: desk.ItemPost, Payload: []byte(n.Body)},
		"an id of its kind": {Queue: store.QueueOutbound, Key: "channel:" + b.link.ID.String(), Kind: "NOTE", MessageID: &n.ID},
	} {
		err := b.Store.Tx(t.Context(), b.Tenant.ID, b.now(), func(tx *store.Tx) error { tx.Enqueue(it); return nil })
		if err == nil {
			t.Errorf("%s was enqueued", what)
		}
	}
	if n := len(b.items()); n != 1 {
		t.Errorf("%d items wait, want the reply alone", n)
	}

	for what, try := range map[string]func() error{
		"edited as a reply":  func() error { _, err := b.desk.EditReply(t.Context(), b.By(b.Agent), n.GlobalID(), "x"); return err },
		"deleted as a reply": func() error { _, err := b.desk.DeleteReply(t.Context(), b.By(b.Agent), n.GlobalID()); return err },
		"sent again":         func() error { _, err := b.desk.RetryDelivery(t.Context(), b.By(b.Agent), n.GlobalID()); return err },
		"by its bare id": func() error {
			_, err := b.desk.RetryDelivery(t.Context(), b.By(b.Agent), n.ID.Global(ochre.KindMessage))
			return err
		},
	} {
		refused(t, what, try(), ochre.CodeNotFound, "input.messageId")
	}
	echo := b.says("UBOT", ownTeam, 9, 1) // that says to be the note
	echo.PersonPosted, echo.Echo, echo.MessageID = false, true, n.GlobalID()
	b.live([]desk.SlackEvent{echo})
	if left := b.items(); len(left) != 1 {
		t.Errorf("%d items are left to do, want the reply alone", len(left))
	}
}

// TestNothingOutboundHoldsANote looks into every type that what is sent travels in.
func TestNothingOutboundHoldsANote(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type, string)
	look = func(typ reflect.Type, path string) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		if typ == reflect.TypeFor[ochre.Note]() || typ.Kind() == reflect.Interface && reflect.TypeFor[*ochre.Note]().Implements(typ) {
			t.Errorf("%s can hold a note", path)
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			look(typ.Elem(), path)
		case reflect.Map:
			look(typ.Key(), path)
			look(typ.Elem(), path)
		case reflect.Struct:
			for i := range typ.NumField() {
				look(typ.Field(i).Type, path+"."+typ.Field(i).Name)
			}
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[desk.Outgoing](), reflect.TypeFor[desk.ReplyInput](), reflect.TypeFor[store.Item](), reflect.TypeFor[store.NewItem](), reflect.TypeFor[store.Part](), reflect.TypeFor[desk.Job]()} {
		look(typ, typ.String())
	}
}

// TestNothingOutboundSpeaksOfNotes reads the source of all that leads to Slack: none of it may name a note, nor read their table.
func TestNothingOutboundSpeaksOfNotes(t *testing.T) {
	t.Parallel()
	note := regexp.MustCompile(`^Notes?([A-Z].*)?$|[a-z]Notes?([A-Z].*)?$`)
	table := regexp.MustCompile(`(?i)\bnotes\b`)
	allowed := map[string]bool{"NoteTraffic": true} // of links, which notes how much came by
	files := []string{"outbound.go", "outbound_change.go", "outbound_seen.go", "reply.go", "../store/lanes.go", "../store/runner.go", "../store/message.go", "../store/thread.go"}
	err := filepath.WalkDir("../slackbridge", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if note.MatchString(n.Name) && !allowed[n.Name] {
					t.Errorf("%s: %s leads to notes", set.Position(n.Pos()), n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && table.MatchString(n.Value) {
					t.Errorf("%s: a text that names the notes", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
