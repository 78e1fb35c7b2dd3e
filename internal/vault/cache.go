// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"sluice.dev/sluice/internal/secret"
)

// An entry is what is known of one path.
type entry struct {
	// good is what Vault said last, nil if it has not, or said that it is gone.
	good *Secret
	// err is why the latest attempt, at tried, failed.
	err   *Error
	tried time.Time
	used  time.Time
	// doubted is when good was last asked for because it had been refused.
	doubted time.Time
	// lapsed says that there were keys, which are too old now.
	lapsed bool
	// flight is closed when the attempt under way is over; nil if none is.
	flight chan struct{}
}

// read returns what is known of path, from Vault if that is due. One request
// for a path is under way at a time; who needs it waits for it.
func (c *Client) read(ctx context.Context, path, refused string) (Secret, error) {
	c.mu.Lock()
	e := c.entry(path)
	if !c.due(e, refused) {
		defer c.mu.Unlock()
		return c.known(e)
	}
	flight := e.flight
	if flight == nil {
		flight = make(chan struct{})
		e.flight = flight
		if e.good != nil && refused == e.good.Version {
			e.doubted = c.config.Now()
		}
		// Others may wait for it when who began it has left.
		go c.refresh(context.WithoutCancel(ctx), path, e)
	}
	c.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
		err := problem(Unavailable, "%s had not answered when the question was given up (read %s): %s", c.at(), path, ctx.Err())
		err.Err = ctx.Err()
		return Secret{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known(e)
}

// due reports whether Vault is to be asked. It needs c.mu.
func (c *Client) due(e *entry, refused string) bool {
	now := c.config.Now()
	switch {
	case e.flight != nil:
		return e.good == nil || now.Sub(e.good.ReadAt) >= c.config.Refresh || refused == e.good.Version
	case e.err != nil:
		return now.Sub(e.tried) >= max(retryAfter, e.err.RetryAfter)
	case e.good == nil || now.Sub(e.good.ReadAt) >= c.config.Refresh:
		return true
	}
	// A key that was refused is asked for again, however lately it was read, but
	// not by every one of many gates that had it refused at the same moment.
	return refused == e.good.Version && now.Sub(e.doubted) >= min(time.Second, c.config.Refresh)
}

// known returns the last good secret while it may be used, and why not
// otherwise. It needs c.mu.
func (c *Client) known(e *entry) (Secret, error) {
	now := c.config.Now()
	e.used = now
	if e.good != nil && now.Sub(e.good.ReadAt) >= c.config.MaxAge {
		e.good, e.lapsed = nil, true
	}
	if e.good == nil {
		return Secret{}, c.without(e)
	}
	s := *e.good
	if e.err != nil {
		s.Stale = e.err
	}
	return s, nil
}

// without is why there are no keys.
func (c *Client) without(e *entry) error {
	err := Error{Reason: Unavailable, Message: c.at() + " has not been asked in time"}
	if e.err != nil {
		err = *e.err
	}
	if e.lapsed {
		err.Message += "; the last good keys are older than " + short(c.config.MaxAge) + " and are not used any more"
	}
	return &err
}

// refresh asks Vault and ends the flight.
func (c *Client) refresh(ctx context.Context, path string, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, 4*c.config.Timeout)
	defer cancel()
	c.mu.Lock()
	var hidden []secret.Text
	if e.good != nil {
		for _, t := range e.good.Fields {
			// What is short is no key, and would black out half a message.
			if len(t.Reveal()) >= 8 {
				hidden = append(hidden, t)
			}
		}
	}
	c.mu.Unlock()
	got, err := c.fetch(ctx, path, hidden)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(path, e, got, err)
	e.tried, e.err = c.config.Now(), err
	switch {
	case err == nil:
		e.good, e.lapsed = &got, false
	case err.Reason == Missing:
		// An answer, not an outage: what was taken away is not used.
		e.good = nil
	}
	close(e.flight)
	e.flight = nil
}

// tell logs what changed. It needs c.mu.
func (c *Client) tell(path string, e *entry, got Secret, err *Error) {
	log := c.config.Log.WithValues("path", path)
	switch lost := e.err != nil; {
	case err != nil && lost:
	case err != nil:
		c.tellLost(log, e, err)
	case lost:
		log.Info("Vault gives the keys again", "version", got.Version)
	case e.good != nil && e.good.Version != got.Version:
		log.Info("the keys in Vault have changed", "version", got.Version)
	}
}

func (c *Client) tellLost(log logr.Logger, e *entry, err *Error) {
	if e.good == nil || err.Reason == Missing {
		log.Info("Vault does not give the keys; gates hold", "why", err.Message)
		return
	}
	log.Info("Vault does not give the keys; the last good ones are used for a while", "until", e.good.ReadAt.Add(c.config.MaxAge), "why", err.Message)
}

// entry returns what is known of path, and forgets another path when there are
// too many. It needs c.mu.
func (c *Client) entry(path string) *entry {
	e := c.entries[path]
	if e != nil {
		return e
	}
	if len(c.entries) >= maxPaths {
		oldest := ""
		for p, other := range c.entries {
			if other.flight == nil && (oldest == "" || other.used.Before(c.entries[oldest].used)) {
				oldest = p
			}
		}
		delete(c.entries, oldest)
	}
	e = &entry{used: c.config.Now()}
	c.entries[path] = e
	return e
}
