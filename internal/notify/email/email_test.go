// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const password = "the-password-of-the-mail"

// A server speaks as much of SMTP as a mail takes, in this order and no other.
type server struct {
	listener net.Listener
	tls      *tls.Config
	// say answers a verb with something else than success.
	say map[string]string
	// silent is the verb that is never answered.
	silent string

	mu    sync.Mutex
	mails []envelope
	auth  []string
}

type envelope struct {
	from   string
	to     []string
	data   string
	secure bool
}

func newServer(t *testing.T, secure bool) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l, say: map[string]string{}}
	if secure {
		web := httptest.NewTLSServer(nil)
		s.tls = &tls.Config{Certificates: web.TLS.Certificates}
		web.Close()
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *server) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 ready\r\n")
	var e envelope
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.Fields(line + " x")[0])
		if verb == s.silent {
			_, _ = io.Copy(io.Discard, in)
			return
		}
		if other := s.say[verb]; other != "" {
			fmt.Fprint(conn, other+"\r\n")
			continue
		}
		switch verb {
		case "EHLO":
			fmt.Fprint(conn, "250-hello\r\n")
			if s.tls != nil && !e.secure {
				fmt.Fprint(conn, "250-STARTTLS\r\n")
			}
			fmt.Fprint(conn, "250-AUTH PLAIN\r\n250 8BITMIME\r\n")
		case "STARTTLS":
			fmt.Fprint(conn, "220 go\r\n")
			conn = tls.Server(conn, s.tls)
			in, e.secure = bufio.NewReader(conn), true
		case "AUTH":
			s.mu.Lock()
			s.auth = append(s.auth, strings.TrimSpace(line))
			s.mu.Unlock()
			fmt.Fprint(conn, "235 ok\r\n")
		case "MAIL":
			e.from = strings.TrimSpace(line)
			fmt.Fprint(conn, "250 ok\r\n")
		case "RCPT":
			e.to = append(e.to, strings.TrimSpace(line))
			fmt.Fprint(conn, "250 ok\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go\r\n")
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				e.data += line
			}
			s.mu.Lock()
			s.mails = append(s.mails, e)
			s.mu.Unlock()
			fmt.Fprint(conn, "250 queued\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "500 what\r\n")
		}
	}
}

func (s *server) got() []envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func send(ctx context.Context, t *testing.T, o Options, sections map[string]any, to string) error {
	t.Helper()
	service, err := Kind().Open(&o, []secret.Text{secret.New(password)})
	if err != nil {
		return err
	}
	m := &notify.Message{
		UID: "the-uid", Notice: v1alpha1.Notice{Number: 7, Reason: "RolloutAborted", At: metav1.NewTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))},
		Recipient: to, Text: "Größe: failed\nsecond line",
	}
	m.WithSections(sections)
	err = service.Send(ctx, m)
	if err != nil && strings.Contains(err.Error(), password) {
		t.Errorf("an error shows the password: %v", err)
	}
	return err
}

func TestAMailArrives(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"in the clear on this machine": false, "with TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, secure)
			o := Options{Host: "127.0.0.1", Port: s.port(), From: "Sluice <sluice@example.com>", Username: "user", Password: secret.New(password), InsecureSkipVerify: true}
			sections := map[string]any{"email": map[string]any{"subject": "aborted: Größe\r\nBcc: everybody@example.com"}}
			if err := send(t.Context(), t, o, sections, "a@example.com, B <b@example.com>"); err != nil {
				t.Fatal(err)
			}
			mails := s.got()
			if len(mails) != 1 {
				t.Fatalf("got %d mails", len(mails))
			}
			e := mails[0]
			if e.from != "MAIL FROM:<sluice@example.com> BODY=8BITMIME" || !slices.Equal(e.to, []string{"RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"}) || e.secure != secure {
				t.Errorf("the envelope is %+v", e)
			}
			if want := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00user\x00"+password)); !slices.Equal(s.auth, []string{want}) {
				t.Errorf("logged in by %q", s.auth)
			}
			msg, err := mail.ReadMessage(strings.NewReader(e.data))
			if err != nil {
				t.Fatal(err)
			}
			subject, _ := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
			body, _ := io.ReadAll(quotedprintable.NewReader(msg.Body))
			got := []string{subject, string(body), msg.Header.Get("Bcc"), msg.Header.Get("Message-Id"), msg.Header.Get("To"), msg.Header.Get("Date")}
			want := []string{
				"aborted: Größe Bcc: everybody@example.com", "Größe: failed\r\nsecond line\r\n", "", "<sluice.the-uid.7.0@sluice.invalid>",
				`<a@example.com>, "B" <b@example.com>`, "Fri, 02 Jan 2026 12:00:00 +0000",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatAMailServerSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verb, say string
		to        string
		fate      outbox.Fate
		want      string
	}{
		"busy":                {"MAIL", "421 too busy", "", outbox.Later, "421 too busy"},
		"a grey list":         {"RCPT", "451 later", "", outbox.Later, "451 later"},
		"nobody of that name": {"RCPT", "550 no such user", "", outbox.Refused, "was refused: 550 no such user"},
		"a wrong password":    {"AUTH", "535 not you " + password, "", outbox.Broken, "the password is refused: 535 not you *****"},
		"no address":          {"", "", "nobody", outbox.Broken, `"nobody" is no mail address`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, false)
			s.say[tc.verb] = tc.say
			to := "a@example.com"
			if tc.to != "" {
				to = tc.to
			}
			err := send(t.Context(), t, Options{Host: "127.0.0.1", Port: s.port(), From: "s@example.com", Username: "u", Password: secret.New(password)}, nil, to)
			if e, ok := errors.AsType[*notify.Error](err); !ok || e.Fate != tc.fate || !strings.Contains(e.Message, tc.want) {
				t.Errorf("got %v, want %s and %q", err, tc.fate, tc.want)
			}
			if n := len(s.got()); n != 0 {
				t.Errorf("%d mails arrived", n)
			}
		})
	}
}

func TestASilentMailServerIsLeft(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"EHLO", "MAIL", "DATA"} {
		s := newServer(t, false)
		s.silent = verb
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := send(ctx, t, Options{Host: "127.0.0.1", Port: s.port(), From: "s@example.com"}, nil, "a@example.com")
		cancel()
		if e, ok := errors.AsType[*notify.Error](err); !ok || e.Fate != outbox.Later {
			t.Errorf("%s: got %v", verb, err)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{"host is needed": {From: "a@b.c"}, "which is no address": {Host: "x", From: "nobody"}} {
		if err := send(t.Context(), t, o, nil, "a@example.com"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
