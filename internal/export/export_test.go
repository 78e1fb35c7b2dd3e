// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.dev/sluice/internal/export/s3test"
	"sluice.dev/sluice/internal/secret"
)

// files are all files below dir.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAFolderHasTheNewestOfEachAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := NewFolder(dir)
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two, longer", "3"} {
		if err := f.Put(t.Context(), "payments/checkout/x.json", "application/json", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, dir); len(got) != 1 || got["payments/checkout/x.json"] != "3" {
		t.Errorf("the folder has %v", got)
	}
}

// Whoever reads while it is written sees one whole version or another.
func TestAFileInAFolderIsNeverHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := NewFolder(dir)
	whole := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), 200_000) }
	if err := f.Put(t.Context(), "x", "", []byte(whole(0))); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for n := range 40 {
			if err := f.Put(t.Context(), "x", "", []byte(whole(n))); err != nil {
				t.Error(err)
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		data, err := os.ReadFile(filepath.Join(dir, "x"))
		if err != nil || len(data) != 200_000 || strings.Count(string(data), string(data[:1])) != len(data) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	wg.Wait()
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewFolder(filepath.Join(dir, "file")).Check(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "file")) {
		t.Errorf("got %v", err)
	}
	f := NewFolder(dir)
	for _, name := range []string{"../x", "/etc/x", "a/../../x"} {
		if err := f.Put(t.Context(), name, "", nil); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if err := f.Put(t.Context(), "file/x", "", nil); err == nil {
		t.Error("a file is a folder")
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("something is left: %v", got)
	}
}

func bucket(t *testing.T, change func(*S3Config, *s3test.Server)) (*S3, *s3test.Server) {
	t.Helper()
	server := s3test.New("evidence")
	t.Cleanup(server.Close)
	c := S3Config{
		Endpoint: server.URL, Region: server.Region, Bucket: server.Bucket, Prefix: "/prod/eu/", Now: time.Now,
		Credentials: func() (Credentials, error) {
			return Credentials{AccessKey: server.AccessKey, SecretKey: secret.New(server.SecretKey)}, nil
		},
	}
	if change != nil {
		change(&c, server)
	}
	s, err := NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, server
}

func TestABucketTakesWhatIsPut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*S3Config, *s3test.Server){
		"with a prefix":    nil,
		"without a prefix": func(c *S3Config, _ *s3test.Server) { c.Prefix = "" },
		"with a session's keys": func(c *S3Config, s *s3test.Server) {
			s.SessionToken = "token//of=the session"
			c.Credentials = func() (Credentials, error) {
				return Credentials{AccessKey: s.AccessKey, SecretKey: secret.New(s.SecretKey), SessionToken: secret.New(s.SessionToken)}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server := bucket(t, change)
			for _, key := range []string{"payments/checkout/a.json", "a b+c=d&e?f#g%h/ü~(1)'*.html", "a//b"} {
				if err := s.Put(t.Context(), key, "text/html; charset=utf-8", []byte("<p>"+key)); err != nil {
					t.Errorf("%s: %v", key, err)
				}
				want := strings.TrimLeft(s.Prefix+"/"+key, "/")
				if got := server.Objects()[want]; string(got.Data) != "<p>"+key || got.ContentType != "text/html; charset=utf-8" {
					t.Errorf("%s: the store has %+v of %v", want, got, server.Objects())
				}
			}
			if err := s.Put(t.Context(), "empty", "", nil); err != nil {
				t.Errorf("an empty one: %v", err)
			}
		})
	}
}

func TestWhatAStoreRefuses(t *testing.T) {
	t.Parallel()
	wrong := func(access, key string) func(*S3Config, *s3test.Server) {
		return func(c *S3Config, s *s3test.Server) {
			c.Credentials = func() (Credentials, error) {
				return Credentials{AccessKey: cmpOr(access, s.AccessKey), SecretKey: secret.New(cmpOr(key, s.SecretKey))}, nil
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*S3Config, *s3test.Server)
		want   []string
	}{
		"a wrong secret":  {wrong("", "wrong"), []string{"403", "SignatureDoesNotMatch", "check the keys"}},
		"an unknown key":  {wrong("AKIDOTHER", ""), []string{"403", "InvalidAccessKeyId"}},
		"another bucket":  {func(c *S3Config, _ *s3test.Server) { c.Bucket = "other" }, []string{"404", "NoSuchBucket", "--evidence-s3-bucket"}},
		"another region":  {func(c *S3Config, _ *s3test.Server) { c.Region = "us-east-1" }, []string{"400", "eu-test-1", "--evidence-s3-region"}},
		"a wrong clock":   {func(c *S3Config, _ *s3test.Server) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } }, []string{"403", "clock is wrong"}},
		"an outage":       {func(_ *S3Config, s *s3test.Server) { s.Fail(http.StatusServiceUnavailable) }, []string{"503", "SlowDown"}},
		"a broken answer": {func(_ *S3Config, s *s3test.Server) { s.Fail(0) }, []string{"ask 127.0.0.1"}},
		"no keys": {func(c *S3Config, _ *s3test.Server) {
			c.Credentials = func() (Credentials, error) { return Credentials{}, errors.New("no keys in x") }
		}, []string{"no keys in x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server := bucket(t, tc.change)
			err := s.Put(t.Context(), "a", "text/plain", []byte("x"))
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if err != nil && (strings.Contains(err.Error(), server.SecretKey) || strings.Contains(err.Error(), "wrong\"")) {
				t.Errorf("a secret is in %v", err)
			}
			if len(server.Objects()) != 0 {
				t.Errorf("the store has %v", server.Objects())
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// The signature of the example in AWS's documentation of Signature Version 4.
func TestSignatureOfTheDocumentedExample(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=0-9")
	sign(req, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		Credentials{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")}, "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, " +
		"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]S3Config{
		"is not a URL":        {Endpoint: "s3.example.com", Bucket: "b"},
		"without user":        {Endpoint: "https://u:p@s3.example.com", Bucket: "b"},
		"without TLS":         {Endpoint: "http://s3.example.com", Bucket: "b"},
		"no name of a bucket": {Endpoint: "https://s3.example.com", Bucket: "a/b"},
		"the prefix":          {Endpoint: "https://s3.example.com", Bucket: "b", Prefix: "a/../b"},
	} {
		if _, err := NewS3(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
	if _, err := NewS3(S3Config{Endpoint: "http://s3.example.com", Bucket: "b", PlainHTTP: true}); err != nil {
		t.Error(err)
	}
}

func TestKeysAreReadAnewAndFromWhereTheyAreSaidToBe(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
	get := CredentialsFrom("", func(k string) string { return env[k] })
	if c, err := get(); err != nil || c.AccessKey != "a" || c.SecretKey.Reveal() != "s" || c.SessionToken.Reveal() != "t" {
		t.Errorf("got %v, %v", c, err)
	}
	delete(env, "AWS_SECRET_ACCESS_KEY")
	if _, err := get(); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "credentials")
	get = CredentialsFrom(file, func(string) string { return "not this one" })
	if _, err := get(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	for _, n := range []int{1, 2} {
		text := fmt.Sprintf("# keys\n[other]\naws_access_key_id = x\naws_secret_access_key=y\n\n[default]\naws_access_key_id = a%d\naws_secret_access_key=s=%d\n", n, n)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := get(); err != nil || c.AccessKey != fmt.Sprintf("a%d", n) || c.SecretKey.Reveal() != fmt.Sprintf("s=%d", n) {
			t.Errorf("got %v %v, %v", c.AccessKey, c.SecretKey.Reveal(), err)
		}
	}
	if err := os.WriteFile(file, []byte("[other]\naws_access_key_id = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := get(); err == nil || !strings.Contains(err.Error(), "[default]") {
		t.Errorf("got %v", err)
	}
}
