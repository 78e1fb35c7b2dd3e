// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/internal/httpclient"
)

// A Reason says what kind of failure an Error is.
type Reason string

// The reasons.
const (
	// Unavailable is a Vault that is sealed, a standby, busy, slow or away.
	Unavailable Reason = "Unavailable"
	// Denied is a login or a read that Vault refuses.
	Denied Reason = "Denied"
	// Missing is a path at which there is nothing any more, by Vault's word.
	Missing Reason = "Missing"
	// Misconfigured is a mistake that asking again will not mend.
	Misconfigured Reason = "Misconfigured"
	// Malformed is an answer that is not one of Vault's.
	Malformed Reason = "Malformed"
)

// maxWords is how much of Vault's own words a message repeats, in bytes.
const maxWords = 300

// maxRetryAfter bounds a wait that a broken proxy may ask for.
const maxRetryAfter = 10 * time.Minute

// An Error is why a secret could not be read. Its message names the address,
// the path, the role, the status and what to do; never a token or a key.
type Error struct {
	Reason Reason
	// Status is the HTTP status, 0 where there was none.
	Status  int
	Message string
	// RetryAfter is how long Vault asked us to wait, 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause, if it is of use to the caller.
	Err error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func problem(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// short writes 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

func shorten(text string) string { return httpclient.Clean(text, 100) }

// unreachable is a question without an answer.
func (c *conn) unreachable(q question, err error) *Error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		e := problem(Unavailable, "the question to %s (%s) was cancelled before it was answered", c.at(), q.doing)
		e.Err = context.Canceled
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e := problem(Unavailable, "%s did not answer within %s (%s)", c.at(), c.config.Timeout, q.doing)
		e.Err = context.DeadlineExceeded
		return e
	}
	// The URL in a *url.Error says nothing that q does not.
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	hint := ""
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, invalid := errors.AsType[*tls.CertificateVerificationError](err)
	if unknown || invalid {
		hint = "; its certificate is not trusted: name the file with Vault's CA (--vault-ca-file)"
	}
	return problem(Unavailable, "%s could not be reached (%s): %s%s", c.at(), q.doing, q.words(err.Error()), hint)
}

// refused is an answer other than success.
func (c *conn) refused(q question, a answer) *Error {
	reason, advice := c.cause(q, a)
	said := ""
	if words := q.words(ownWords(a.body)); words != "" {
		said = fmt.Sprintf(": %q", words)
	}
	e := problem(reason, "%s answered %d %s (%s)%s%s", c.at(), a.status, http.StatusText(a.status), q.doing, said, advice)
	e.Status = a.status
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
	}
	return e
}

// outages are statuses that say nothing about what was asked, and what to do.
// Vault answers some with numbers of its own.
var outages = map[int]string{
	http.StatusServiceUnavailable: "; Vault is sealed or in maintenance: unseal it",
	472:                           "; this is a standby: use the address of the active node",
	473:                           "; this is a standby: use the address of the active node",
	http.StatusTooManyRequests:    "; a standby, or a rate limit of Vault is used up",
	http.StatusPreconditionFailed: "",
	http.StatusRequestTimeout:     "",
}

// cause says what a status means, and what to do.
func (c *conn) cause(q question, a answer) (Reason, string) {
	advice, away := outages[a.status]
	switch status := a.status; {
	case away || status >= 500:
		return Unavailable, advice
	case status >= 300 && status < 400:
		return Misconfigured, fmt.Sprintf("; the redirect%s was not followed, because the token is for %s only: use the address of the active node", q.target(a), c.base)
	case !fromVault(a.body):
		return Unavailable, "; this is not an answer of Vault's: is there something else at this address?"
	case q.login:
		return Denied, fmt.Sprintf("; check that the Kubernetes auth method is mounted at %s and may review tokens, "+
			"and the role %s: the ServiceAccounts and namespaces it is bound to, and its audience", c.config.AuthMount, c.config.Role)
	case status == http.StatusForbidden:
		return Denied, fmt.Sprintf("; a policy of the role %s must allow read of %s", c.config.Role, q.path)
	case status == http.StatusNotFound:
		return Missing, deletion(a.body)
	}
	return Misconfigured, ""
}

// target is the host that a redirect points to.
func (q question) target(a answer) string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Host == "" {
		return ""
	}
	return " to " + q.words(u.Host)
}

// fromVault reports whether a body of a failure is one that Vault writes.
func fromVault(body []byte) bool {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return false
	}
	_, errs := said["errors"]
	_, data := said["data"]
	return errs || data
}

// deletion says why there is nothing, if Vault knows.
func deletion(body []byte) string {
	var said kvAnswer
	switch m := &said.Data.Metadata; {
	case json.Unmarshal(body, &said) != nil || m.Version == 0:
		return "; nothing was ever written there, or it is gone: put the keys there and the gate goes on"
	case m.Destroyed:
		return fmt.Sprintf("; version %d was destroyed: write the keys again and the gate goes on", m.Version)
	default:
		return fmt.Sprintf("; version %d was deleted: undelete it, or write the keys again, and the gate goes on", m.Version)
	}
}

// ownWords finds what Vault says in a body.
func ownWords(body []byte) string {
	var said struct {
		Errors   []string `json:"errors"`
		Warnings []string `json:"warnings"`
	}
	if json.Unmarshal(body, &said) == nil {
		return strings.Join(append(said.Errors, said.Warnings...), "; ")
	}
	return string(body[:min(len(body), 8*maxWords)])
}
