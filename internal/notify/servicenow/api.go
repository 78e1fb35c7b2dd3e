// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
)

// most is how many incidents of one Rollout are looked at.
const most = "50"

func (s *api) table(id string) string {
	path := s.base + "/api/now/table/" + url.PathEscape(s.opts.Table)
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return path
}

// display asks that names are taken for references.
func (s *api) display(section *Section) string {
	if section.DisplayValues {
		return "?sysparm_input_display_value=true"
	}
	return ""
}

// query returns the incidents that keep keeps. ServiceNow ignores what it does
// not understand of a query, and answers with records of others.
func (s *service) query(ctx context.Context, query string, keep func(incident) bool) ([]incident, error) {
	args := url.Values{
		"sysparm_query": {query}, "sysparm_limit": {most},
		"sysparm_fields": {"sys_id,number,correlation_id,correlation_display"}, "sysparm_exclude_reference_link": {"true"},
	}
	var answer struct{ Result []incident }
	if err := s.read(ctx, s.table("")+"?"+args.Encode(), &answer); err != nil {
		return nil, err
	}
	var out []incident
	for _, i := range answer.Result {
		if keep(i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// attach adds the files that the incident does not have yet.
func (s *service) attach(ctx context.Context, m *notify.Message, id string) error {
	files, err := m.Files(ctx)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return nil
	}
	args := url.Values{"sysparm_query": {"table_name=" + s.opts.Table + "^table_sys_id=" + id}, "sysparm_limit": {"200"}, "sysparm_fields": {"file_name"}}
	var there struct {
		Result []struct {
			Name string `json:"file_name"`
		}
	}
	if err := s.read(ctx, s.base+"/api/now/attachment?"+args.Encode(), &there); err != nil {
		return err
	}
	has := map[string]bool{}
	for _, f := range there.Result {
		has[f.Name] = true
	}
	for _, f := range files {
		if has[f.Name] {
			continue
		}
		if err := s.upload(ctx, id, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) upload(ctx context.Context, id string, f notify.File) error {
	args := url.Values{"table_name": {s.opts.Table}, "table_sys_id": {id}, "file_name": {f.Name}}
	r := &wire.Request{
		Who: who, Method: http.MethodPost, URL: s.base + "/api/now/attachment/file?" + args.Encode(), Body: f.Data,
		Header: http.Header{"Content-Type": {cmp.Or(f.Type, "application/octet-stream")}},
	}
	_, err := s.do(ctx, r)
	if e, ok := errors.AsType[*notify.Error](err); ok {
		e.Uncertain = false // the list of files tells whether it arrived
	}
	return err
}

// read asks for something. A failure to read leaves nothing uncertain.
func (s *api) read(ctx context.Context, at string, into any) error {
	err := s.call(ctx, &wire.Request{Who: who, Method: http.MethodGet, URL: at, Header: http.Header{}}, into)
	if e, ok := errors.AsType[*notify.Error](err); ok {
		e.Uncertain = false
	}
	return err
}

func (s *api) write(ctx context.Context, method, at string, fields map[string]string, into any) error {
	r := &wire.Request{Who: who, Method: method, URL: at}
	if err := r.JSON(fields); err != nil {
		return err
	}
	return s.call(ctx, r, into)
}

func (s *api) call(ctx context.Context, r *wire.Request, into any) error {
	resp, err := s.do(ctx, r)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(resp.Body, into); err != nil {
		e := notify.Errorf(outbox.Later, "%s answered %d with something that is not JSON; the instance may be hibernating, or the url may be that of something else", who, resp.Status)
		e.Uncertain = true
		return e
	}
	return nil
}

// do authenticates and asks. A token that is refused is replaced at once, and
// only once.
func (s *api) do(ctx context.Context, r *wire.Request) (*wire.Response, error) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Accept", "application/json")
	r.Secrets = s.secrets
	for again := false; ; again = true {
		if err := s.authenticate(ctx, r); err != nil {
			return nil, err
		}
		resp, err := wire.Do(ctx, s.client, r)
		if err != nil && resp != nil && resp.Status == http.StatusUnauthorized && s.opts.OAuth != nil && !again {
			s.forget()
			continue
		}
		return resp, err
	}
}
