// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	core "sluice.dev/sluice/internal/outbox"
)

// patience bounds one message, evidence included.
const patience = 2 * time.Minute

// A pass empties one outbox as far as that goes now.
type pass struct {
	*Reconciler
	memory  *memory
	configs []*notify.Config

	mu sync.Mutex // over ro and memory, while messages are on their way
	ro *v1alpha1.Rollout
}

// An outcome is what became of a message.
type outcome struct {
	routed notify.Routed
	err    error
}

// round sends one message to each recipient that is due. It returns when to
// come back, or zero when the next round may follow at once.
func (p *pass) round(ctx context.Context) (wake time.Time, err error) {
	all := p.deliveries(ctx, p.ro)
	box := p.ro.Status.Sluice.Outbox.DeepCopy()
	for _, change := range p.memory.unsaved {
		change(box)
	}
	now := p.Clock.Now()
	due, wake := p.due(box, all, now)
	if len(due) == 0 {
		// What nobody is to be told any more is taken out.
		settled := box.DeepCopy()
		core.Settle(settled, plain(all), p.ro.Status.CurrentPodHash)
		if len(settled.Notices) != len(box.Notices) || len(p.memory.unsaved) > 0 {
			return wake, p.record(ctx)
		}
		return wake, nil
	}
	results := make(chan outcome, len(due))
	for _, d := range due {
		since := core.SendingSince(box, d.To)
		if p.memory.certain[d.To] {
			since = time.Time{}
		}
		ro := p.ro
		go func() { results <- outcome{d, p.send(ctx, ro, d, since)} }()
	}
	return time.Time{}, p.collect(ctx, results, len(due))
}

// due are the deliveries to make now; wake is when the first of the others is.
func (p *pass) due(box *v1alpha1.Outbox, all []notify.Routed, now time.Time) (due []notify.Routed, wake time.Time) {
	byLane := map[string]notify.Routed{}
	for _, r := range all {
		byLane[laneKey(r.Delivery)] = r
	}
	for _, d := range core.Next(box, plain(all)) {
		if try := p.memory.tries[d.To]; try.Of(d) && now.Before(try.At) {
			if wake.IsZero() || try.At.Before(wake) {
				wake = try.At
			}
			continue
		}
		due = append(due, byLane[laneKey(d)])
	}
	return due, wake
}

func laneKey(d core.Delivery) string {
	return fmt.Sprintf("%s\x00%d.%d", d.To, d.Notice.Number, d.Part)
}

// collect records each outcome as it comes, so that a slow service keeps no
// other from being recorded.
func (p *pass) collect(ctx context.Context, results <-chan outcome, n int) error {
	var errs []error
	for ; n > 0; n-- {
		o := <-results
		p.mu.Lock()
		before := len(p.memory.unsaved)
		p.note(ctx, o)
		if len(p.memory.unsaved) > before {
			errs = append(errs, p.record(ctx))
		}
		p.mu.Unlock()
	}
	return errors.Join(errs...)
}

// note takes in what became of a message.
func (p *pass) note(ctx context.Context, o outcome) {
	d, now := o.routed.Delivery, p.Clock.Now()
	log := ctrl.LoggerFrom(ctx).WithValues("notice", d.Notice.Number, "reason", d.Notice.Reason, "to", d.To)
	if o.err == nil {
		delete(p.memory.tries, d.To)
		delete(p.memory.certain, d.To)
		p.memory.unsaved = append(p.memory.unsaved, func(b *v1alpha1.Outbox) { core.Done(b, d) })
		delivered(o.routed.Service, now.Sub(d.Notice.At.Time))
		log.V(1).Info("told")
		return
	}
	e, ok := errors.AsType[*notify.Error](o.err)
	if !ok {
		e = &notify.Error{Fate: core.Later, Uncertain: true, Message: o.err.Error()}
	}
	try := p.memory.tries[d.To].Failed(d, e.Fate, e.After, now, p.Random)
	p.memory.tries[d.To] = try
	p.memory.certain[d.To] = !e.Uncertain
	failed(o.routed.Service, string(e.Fate))
	if why, over := try.GiveUp(d, p.MaxAge, now); over {
		delete(p.memory.tries, d.To)
		delete(p.memory.certain, d.To)
		p.memory.unsaved = append(p.memory.unsaved, func(b *v1alpha1.Outbox) { core.Dead(b, d, why+": "+e.Message, now) })
		lost(o.routed.Service)
		log.Info("given up: "+why, "error", e.Message)
		p.warn(lostText(d, why, e.Message))
		return
	}
	log.V(1).Info("not told yet", "error", e.Message, "again", try.At, "failures", try.Failures)
	if e.Fate != core.Soon {
		p.once(laneKey(d)+string(e.Fate), func() {
			log.Info("not told yet", "error", e.Message)
			p.warn(failedText(d, e.Message))
		})
	}
}

// once does what only needs to be done once about key.
func (p *pass) once(key string, do func()) {
	if !p.memory.told[key] {
		p.memory.told[key] = true
		do()
	}
}

func (p *pass) warn(reason, text string) {
	if p.Events != nil {
		p.Events.Eventf(p.ro, nil, corev1.EventTypeWarning, reason, "Notify", "%s", text)
	}
}

// send sends one message, or makes a revert.
func (p *pass) send(ctx context.Context, ro *v1alpha1.Rollout, d notify.Routed, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if d.To == v1alpha1.NoticeToRevert {
		return revertAbort(ctx, p, ro, d.Notice)
	}
	secrets, err := p.secrets(ctx, d.Config.Namespace)
	if err != nil {
		return err
	}
	service, err := d.Config.Open(d.Service, secrets)
	if err != nil {
		return err
	}
	m := &notify.Message{
		Namespace: ro.Namespace, Name: ro.Name, UID: string(ro.UID), Notice: d.Notice, Part: d.Part,
		Service: d.Service, Recipient: d.Recipient, SendingSince: since,
		Begin: func(ctx context.Context) error { return p.begin(ctx, d.Delivery) },
	}
	if core.Vital(d.Notice.Reason) {
		m.Files = func(ctx context.Context) ([]notify.File, error) { return p.evidence(ctx, ro, d.Notice) }
	}
	vars := p.vars(ctx, ro, d.Notice)
	vars["secrets"] = readable(secrets)
	vars["recipient"], vars["serviceType"] = d.Recipient, d.Service
	if err := d.Render(m, vars); err != nil {
		return err
	}
	return service.Send(ctx, m)
}

// begin records that something that must not be sent twice begins to be sent.
func (p *pass) begin(ctx context.Context, d core.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	p.memory.unsaved = append(p.memory.unsaved, func(b *v1alpha1.Outbox) { core.Sending(b, d, now) })
	if err := p.record(ctx); err != nil {
		p.memory.unsaved = p.memory.unsaved[:len(p.memory.unsaved)-1]
		return &notify.Error{Fate: core.Later, Message: "nothing was sent: " + err.Error()}
	}
	return nil
}

// deliveries are what is to be sent of all that waits in ro's outbox.
func (p *pass) deliveries(ctx context.Context, ro *v1alpha1.Rollout) []notify.Routed {
	var all []notify.Routed
	for _, n := range ro.Status.Sluice.Outbox.Notices {
		s := notify.Subject{Labels: ro.Labels, Annotations: ro.Annotations, Vars: p.vars(ctx, ro, n)}
		routed, problems := notify.Route(p.configs, core.Delivery{Notice: n}, s)
		all = append(all, routed...)
		if reverts(ro, n.Reason) {
			d := core.Delivery{Notice: n, To: v1alpha1.NoticeToRevert}
			all = append(all, notify.Routed{Delivery: d, Service: "git"})
		}
		for _, text := range problems {
			p.once(text, func() { p.warn("NotificationConfigInvalid", text) })
		}
	}
	return all
}

func plain(all []notify.Routed) []core.Delivery {
	out := make([]core.Delivery, 0, len(all))
	for _, r := range all {
		out = append(out, r.Delivery)
	}
	return out
}
