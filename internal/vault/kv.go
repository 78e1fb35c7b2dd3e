// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"sluice.dev/sluice/internal/secret"
)

// A kvAnswer is what the key-value store, version 2, answers.
type kvAnswer struct {
	Data struct {
		Data     map[string]json.RawMessage `json:"data"`
		Metadata struct {
			Version   int    `json:"version"`
			Created   string `json:"created_time"`
			Destroyed bool   `json:"destroyed"`
		} `json:"metadata"`
	} `json:"data"`
}

// fetch reads path from Vault. A token that Vault does not know any more is
// replaced, once.
func (c *Client) fetch(ctx context.Context, path string, known []secret.Text) (Secret, *Error) {
	for again := true; ; again = false {
		token, err := c.auth.current(ctx, &c.conn)
		if err != nil {
			return Secret{}, err
		}
		asked := c.config.Now()
		body, err := c.ask(ctx, question{method: http.MethodGet, path: path, doing: "read " + path, token: token, hidden: known})
		if err == nil {
			s, err := c.decode(path, body)
			s.ReadAt = asked
			return s, err
		}
		if !again || err.Status != http.StatusForbidden || !c.auth.doubt(ctx, &c.conn, token) {
			return Secret{}, err
		}
	}
}

func (c *conn) decode(path string, body []byte) (Secret, *Error) {
	var a kvAnswer
	// The words of a decoder may repeat what it could not read.
	if json.Unmarshal(body, &a) != nil || a.Data.Metadata.Version == 0 {
		return Secret{}, problem(Malformed, "%s answered with something that is not a secret of a key-value store, version 2 (read %s); "+
			"is its mount of version 1?", c.at(), path)
	}
	s := Secret{
		Path: path, Version: fmt.Sprintf("%d of %s", a.Data.Metadata.Version, a.Data.Metadata.Created),
		Fields: make(map[string]secret.Text, len(a.Data.Data)),
	}
	for name, raw := range a.Data.Data {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		s.Fields[name] = secret.New(text)
	}
	return s, nil
}
