// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenowtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// columns are those of an incident that may be written. A column of a
// customer's own begins with u_.
var columns = []string{
	"short_description", "description", "urgency", "impact", "severity", "priority", "state", "category", "subcategory",
	"assignment_group", "assigned_to", "caller_id", "cmdb_ci", "business_service", "contact_type", "company", "location",
	"close_code", "close_notes", "correlation_id", "correlation_display", "work_notes", "comments",
}

// longest is how long a text may be in its column.
var longest = map[string]int{"short_description": 160, "correlation_id": 100, "correlation_display": 100}

func fields(r *http.Request, body []byte) (map[string]string, *answer) {
	no := func(detail string) (map[string]string, *answer) {
		a := refuse(http.StatusBadRequest, "Invalid request", detail)
		return nil, &a
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return no("Content-Type must be application/json")
	}
	var in map[string]string
	if err := json.Unmarshal(body, &in); err != nil {
		return no("the body is not an object of strings: " + err.Error())
	}
	for k, v := range in {
		if !slices.Contains(columns, k) && !strings.HasPrefix(k, "u_") {
			return no("there is no column " + k)
		}
		if most := longest[k]; most > 0 && len([]rune(v)) > most {
			return no(fmt.Sprintf("%s has more than %d characters", k, most))
		}
	}
	return in, nil
}

func (s *core) create(r *http.Request, body []byte) answer {
	in, bad := fields(r, body)
	if bad != nil {
		return *bad
	}
	n := len(s.records) + 1
	rec := &Record{ID: id("a", n), Fields: map[string]string{
		"sys_id": id("a", n), "number": fmt.Sprintf("INC%07d", n), "state": "1", "active": "true", "sys_created_on": fmt.Sprintf("%010d", n),
	}}
	s.records = append(s.records, rec)
	rec.set(in)
	return answer{http.StatusCreated, map[string]any{"result": rec.show("")}}
}

func (s *core) change(r *http.Request, id string, body []byte) answer {
	in, bad := fields(r, body)
	if bad != nil {
		return *bad
	}
	for _, rec := range s.records {
		if rec.ID != id {
			continue
		}
		// ServiceNow's own rule for resolving.
		if st := in["state"]; (st == "6" || st == "7") && (in["close_code"] == "" || in["close_notes"] == "") {
			return refuse(http.StatusForbidden, "Operation Failed", "Data Policy Exception: The following fields are mandatory: Resolution code, Resolution notes")
		}
		rec.set(in)
		return answer{http.StatusOK, map[string]any{"result": rec.show("")}}
	}
	return refuse(http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}

// set writes fields. A work note is added to those before, and not kept in its
// column.
func (rec *Record) set(in map[string]string) {
	for k, v := range in {
		switch {
		case k == "work_notes" && v != "":
			rec.Notes = append(rec.Notes, v)
		case k != "work_notes":
			rec.Fields[k] = v
		}
	}
	if st := rec.Fields["state"]; st == "7" || st == "8" {
		rec.Fields["active"] = "false"
	}
}

func (rec *Record) show(only string) map[string]string {
	if only == "" {
		return maps.Clone(rec.Fields)
	}
	out := map[string]string{}
	for f := range strings.SplitSeq(only, ",") {
		out[f] = rec.Fields[f]
	}
	return out
}

func (s *core) query(r *http.Request) answer {
	args := r.URL.Query()
	for k := range args {
		if !slices.Contains([]string{"sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_exclude_reference_link"}, k) {
			return refuse(http.StatusBadRequest, "Invalid request", "unknown parameter "+k)
		}
	}
	limit, err := strconv.Atoi(args.Get("sysparm_limit"))
	if err != nil || limit < 1 {
		return refuse(http.StatusBadRequest, "Invalid request", "sysparm_limit must be a number; without it ten thousand records are answered")
	}
	result := []map[string]string{}
	for _, rec := range s.records {
		ok, err := matches(rec.Fields, args.Get("sysparm_query"))
		if err != nil {
			return refuse(http.StatusBadRequest, "Invalid query", err.Error())
		}
		if ok && len(result) < limit {
			result = append(result, rec.show(args.Get("sysparm_fields")))
		}
	}
	return answer{http.StatusOK, map[string]any{"result": result}}
}

// matches evaluates an encoded query.
func matches(fields map[string]string, query string) (bool, error) {
	ok := true
	for term := range strings.SplitSeq(query, "^") {
		switch {
		case term == "ORDERBYsys_created_on": // as they are kept
		case strings.Contains(term, "STARTSWITH"):
			k, v, _ := strings.Cut(term, "STARTSWITH")
			ok = ok && strings.HasPrefix(fields[k], v)
		case strings.Contains(term, "NOT IN"):
			k, v, _ := strings.Cut(term, "NOT IN")
			ok = ok && !slices.Contains(strings.Split(v, ","), fields[k])
		case strings.Contains(term, "="):
			k, v, _ := strings.Cut(term, "=")
			ok = ok && fields[k] == v
		default:
			return false, fmt.Errorf("unknown term %q", term)
		}
	}
	return ok, nil
}

func (s *core) files(r *http.Request) answer {
	result := []map[string]string{}
	for _, a := range s.attachments {
		ok, err := matches(map[string]string{"table_name": "incident", "table_sys_id": a.Record}, r.URL.Query().Get("sysparm_query"))
		if err != nil {
			return refuse(http.StatusBadRequest, "Invalid query", err.Error())
		}
		if ok {
			result = append(result, map[string]string{"sys_id": a.ID, "file_name": a.Name, "size_bytes": strconv.Itoa(len(a.Data))})
		}
	}
	return answer{http.StatusOK, map[string]any{"result": result}}
}

func (s *core) attach(r *http.Request, body []byte) answer {
	args := r.URL.Query()
	if args.Get("table_name") != "incident" || args.Get("file_name") == "" || r.Header.Get("Content-Type") == "" {
		return refuse(http.StatusBadRequest, "Invalid request", "table_name, file_name and Content-Type are needed")
	}
	if !slices.ContainsFunc(s.records, func(rec *Record) bool { return rec.ID == args.Get("table_sys_id") }) {
		return refuse(http.StatusNotFound, "No Record found", "table_sys_id")
	}
	a := Attachment{
		ID: id("f", len(s.attachments)+1), Record: args.Get("table_sys_id"), Name: args.Get("file_name"),
		Type: r.Header.Get("Content-Type"), Data: body,
	}
	s.attachments = append(s.attachments, a)
	return answer{http.StatusCreated, map[string]any{"result": map[string]string{"sys_id": a.ID, "file_name": a.Name}}}
}
