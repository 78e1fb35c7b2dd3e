// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package email sends mail by SMTP. A mail that is sent again has the same
// Message-ID, by which many mail systems tell.
package email

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const (
	submission = 587
	implicit   = 465 // TLS from the first byte
	patience   = 20 * time.Second
)

// Options are what the ConfigMap says under service.email.
type Options struct {
	Host               string      `yaml:"host"`
	Port               int         `yaml:"port"`
	Username           string      `yaml:"username"`
	Password           secret.Text `yaml:"password"`
	From               string      `yaml:"from"`
	HTML               bool        `yaml:"html"`
	InsecureSkipVerify bool        `yaml:"insecure_skip_verify"`
}

// Section is what a template says under email.
type Section struct {
	Subject string `yaml:"subject"`
	Body    string `yaml:"body"`
}

// Kind returns mail as a kind of service.
func Kind() notify.Kind {
	return notify.Kind{
		Name: "email", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, ok := options.(*Options)
			if !ok {
				return nil, notify.Errorf(outbox.Broken, "options are %T", options)
			}
			if o.Host == "" {
				return nil, notify.Errorf(outbox.Broken, "host is needed, such as smtp.example.com")
			}
			if o.Port == 0 {
				o.Port = submission
			}
			from, err := mail.ParseAddress(o.From)
			if err != nil {
				return nil, notify.Errorf(outbox.Broken, "from is %q, which is no address: %v", o.From, err)
			}
			return &service{*o, from, secrets}, nil
		},
	}
}

type service struct {
	opts    Options
	from    *mail.Address
	secrets []secret.Text
}

// Send sends the mail to the recipient, which may be several addresses with
// commas between them.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	if _, err := m.Section("email", &t); err != nil {
		return err
	}
	to, err := mail.ParseAddressList(m.Recipient)
	if err != nil {
		return notify.Errorf(outbox.Broken, "the subscription's recipient %q is no mail address", m.Recipient)
	}
	data, err := s.compose(m, &t, to)
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, to, data); err != nil {
		return s.explain(err)
	}
	return nil
}

func (s *service) compose(m *notify.Message, t *Section, to []*mail.Address) ([]byte, error) {
	subject, body := t.Subject, t.Body
	if body == "" {
		body = m.Text
	}
	if subject == "" {
		subject, _, _ = strings.Cut(m.Text, "\n")
	}
	kind := "text/plain"
	if s.opts.HTML {
		kind = "text/html"
	}
	var addresses []string
	for _, a := range to {
		addresses = append(addresses, a.String())
	}
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", s.from.String()},
		{"To", strings.Join(addresses, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", httpclient.Clean(subject, 500))},
		{"Date", m.Notice.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ReplaceAll(m.Key(), ":", ".") + "@sluice.invalid>"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", kind + "; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(body)); err != nil {
		return nil, fmt.Errorf("compose the mail: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compose the mail: %w", err)
	}
	return b.Bytes(), nil
}

func (s *service) deliver(ctx context.Context, to []*mail.Address, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	// A deadline ends what is under way; the context may end before it.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c, err := smtp.NewClient(conn, s.opts.Host)
	if err != nil {
		_ = conn.Close()
		return err
	}
	defer func() { _ = c.Close() }()
	if err := s.secure(c); err != nil {
		return err
	}
	if err := c.Mail(s.from.Address); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has the mail
	return nil
}

func (s *service) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(s.opts.Host, strconv.Itoa(s.opts.Port))
	if s.opts.Port == implicit {
		d := tls.Dialer{Config: s.tls()}
		return d.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (s *service) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.opts.Host, InsecureSkipVerify: s.opts.InsecureSkipVerify} //nolint:gosec // only where somebody asked for it
}

// secure turns TLS on where it is offered, and logs in. The password is never
// sent without TLS, but to this machine.
func (s *service) secure(c *smtp.Client) error {
	if ok, _ := c.Extension("STARTTLS"); ok && s.opts.Port != implicit {
		if err := c.StartTLS(s.tls()); err != nil {
			return err
		}
	}
	if s.opts.Username == "" {
		return nil
	}
	return c.Auth(smtp.PlainAuth("", s.opts.Username, s.opts.Password.Reveal(), s.opts.Host))
}

// explain says what an error of SMTP means.
func (s *service) explain(err error) error {
	hidden := []string{s.opts.Password.Reveal()}
	for _, k := range s.secrets {
		hidden = append(hidden, k.Reveal())
	}
	e, ok := errors.AsType[*textproto.Error](err)
	words := err.Error()
	if ok {
		words = fmt.Sprintf("%d %s", e.Code, e.Msg)
	}
	words = httpclient.Clean(httpclient.Redact(words, hidden...), 300)
	if strings.Contains(err.Error(), "unencrypted connection") {
		return notify.Errorf(outbox.Broken, "mail by %s: the server offers no TLS, and the password is not sent without it", s.opts.Host)
	}
	switch {
	case ok && (e.Code == 535 || e.Code == 530 || e.Code == 534):
		return notify.Errorf(outbox.Broken, "mail by %s: the user name or the password is refused: %s", s.opts.Host, words)
	case ok && e.Code >= 500:
		return notify.Errorf(outbox.Refused, "mail by %s was refused: %s", s.opts.Host, words)
	}
	out := notify.Errorf(outbox.Later, "mail by %s: %s", s.opts.Host, words)
	out.Uncertain = true
	return out
}
