// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"sluice.dev/sluice/internal/secret"
)

// Credentials are the keys of an object store.
type Credentials struct {
	AccessKey    string
	SecretKey    secret.Text
	SessionToken secret.Text
}

// The names that AWS's own tools give to keys, in the environment and in files.
const (
	envAccess, fileAccess = "AWS_ACCESS_KEY_ID", "aws_access_key_id"
	envSecret, fileSecret = "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key" //nolint:gosec // names, no credentials
	envToken, fileToken   = "AWS_SESSION_TOKEN", "aws_session_token"         //nolint:gosec // names, no credentials
)

// CredentialsFrom returns what reads the keys: from the file, if one is named,
// which has the form of AWS's shared credentials file, else from the
// environment. It reads them anew each time.
func CredentialsFrom(file string, getenv func(string) string) func() (Credentials, error) {
	return func() (Credentials, error) {
		if file == "" {
			return complete(getenv(envAccess), getenv(envSecret), getenv(envToken), "the environment: set "+envAccess+" and "+envSecret+", or name a file")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return Credentials{}, fmt.Errorf("read the credentials file: %w", err)
		}
		keys := profile(string(text), "default")
		return complete(keys[fileAccess], keys[fileSecret], keys[fileToken], file+": it needs "+fileAccess+" and "+fileSecret+" under [default]")
	}
}

func complete(access, key, token, where string) (Credentials, error) {
	if access == "" || key == "" {
		return Credentials{}, errors.New("no keys in " + where)
	}
	return Credentials{AccessKey: access, SecretKey: secret.New(key), SessionToken: secret.New(token)}, nil
}

// profile reads one section of a file in the form of AWS's. Lines before the
// first section belong to it too.
func profile(text, name string) map[string]string {
	out, in := map[string]string{}, true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			in = strings.TrimSpace(strings.Trim(line, "[]")) == name
		case in:
			if key, value, ok := strings.Cut(line, "="); ok {
				out[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
			}
		}
	}
	return out
}
