// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
)

// An incident is what we read of one.
type incident struct {
	ID      string `json:"sys_id"`
	Number  string `json:"number"`
	Key     string `json:"correlation_id"`
	Display string `json:"correlation_display"`
}

// record makes sure that there is one incident for the attempt, with the
// evidence.
func (s *service) record(ctx context.Context, m *notify.Message, section *Section) error {
	key := m.Incident(m.Attempt())
	found, err := s.query(ctx, "correlation_id="+key, func(i incident) bool { return i.Key == key })
	if err != nil {
		return err
	}
	var id string
	if len(found) > 0 {
		id = found[0].ID
	} else if id, err = s.create(ctx, m, section, key); err != nil {
		return err
	}
	if section.NoEvidence || m.Files == nil {
		return nil
	}
	return s.attach(ctx, m, id)
}

// create opens an incident, unless one may be about to be opened already.
func (s *service) create(ctx context.Context, m *notify.Message, section *Section, key string) (id string, err error) {
	if m.SendingSince.IsZero() {
		if err := m.Begin(ctx); err != nil {
			return "", err
		}
	} else if left := m.SendingSince.Add(settleTime).Sub(s.hub.now()); left > 0 {
		e := notify.Errorf(outbox.Later, "whether an earlier try to open the incident reached ServiceNow is unknown; it is looked for until %s have passed, and opened then", settleTime)
		e.After, e.Uncertain = min(left, settleTime/5), true
		return "", e
	} else if err := m.Begin(ctx); err != nil {
		return "", err
	}
	var made struct{ Result incident }
	if err := s.write(ctx, "POST", s.table("")+s.display(section), s.fields(m, section, key), &made); err != nil {
		return "", err
	}
	if made.Result.ID == "" {
		e := notify.Errorf(outbox.Later, "ServiceNow answered without the incident's sys_id")
		e.Uncertain = true
		return "", e
	}
	return made.Result.ID, nil
}

// longest is how long ServiceNow keeps a text in a column.
const (
	longestTitle   = 160
	longestDisplay = 100
)

// fields are the columns of a new incident.
func (s *service) fields(m *notify.Message, section *Section, key string) map[string]string {
	out := map[string]string{
		"short_description": fmt.Sprintf("Rollout %s/%s: %s", m.Namespace, m.Name, m.Notice.Message),
		"description":       m.Text,
	}
	if m.Recipient != "" {
		out["assignment_group"] = m.Recipient
	}
	maps.Copy(out, section.Fields)
	for k, v := range out {
		if v == "" {
			delete(out, k)
		}
	}
	out["short_description"] = cut(out["short_description"], longestTitle)
	out["correlation_id"], out["correlation_display"] = key, mark(m)
	return out
}

func cut(s string, most int) string {
	return wire.Fit(strings.Join(strings.Fields(s), " "), most)
}

// mark says up to which notice an incident was told. It is written by the
// request that adds the work note, so that both are there or neither.
func mark(m *notify.Message) string {
	end := fmt.Sprintf(" #%d.%d", m.Notice.Number, m.Part)
	return cut(fmt.Sprintf("Sluice %s/%s", m.Namespace, m.Name), longestDisplay-len(end)) + end
}

var marked = regexp.MustCompile(`^Sluice .* #(\d+)\.(\d+)$`)

// has reports whether i was told m already.
func (i incident) has(m *notify.Message) bool {
	p := marked.FindStringSubmatch(i.Display)
	if p == nil {
		return false
	}
	number, errN := strconv.ParseInt(p[1], 10, 64)
	part, errP := strconv.ParseInt(p[2], 10, 32)
	if errN != nil || errP != nil || number < m.Notice.Number {
		return false
	}
	return number > m.Notice.Number || part >= int64(m.Part)
}

// follow adds a work note to every incident of the Rollout that is open, and
// resolves it if that is asked for.
func (s *service) follow(ctx context.Context, m *notify.Message, section *Section) error {
	prefix := m.Incident("")
	open, err := s.query(ctx, "correlation_idSTARTSWITH"+prefix+"^active=true^stateNOT IN6,7,8^ORDERBYsys_created_on",
		func(i incident) bool { return strings.HasPrefix(i.Key, prefix) && !i.has(m) })
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range open {
		errs = append(errs, s.write(ctx, "PATCH", s.table(i.ID)+s.display(section), s.changes(m, section), nil))
	}
	for _, err := range errs {
		if err != nil {
			if e, ok := errors.AsType[*notify.Error](err); ok {
				e.Uncertain = false // the mark tells whether it arrived
			}
			return err
		}
	}
	return nil
}

// changes are the columns that a note or a resolution writes.
func (s *service) changes(m *notify.Message, section *Section) map[string]string {
	out := maps.Clone(section.Fields)
	if out == nil {
		out = map[string]string{}
	}
	out["work_notes"] = cmp.Or(section.WorkNote, m.Text, m.Notice.Message)
	out["correlation_display"] = mark(m)
	if section.Action == "resolve" {
		out["state"] = cmp.Or(section.State, "6")
		out["close_code"] = cmp.Or(section.CloseCode, "Solution provided")
		out["close_notes"] = cmp.Or(section.CloseNotes, out["work_notes"])
	}
	return out
}
