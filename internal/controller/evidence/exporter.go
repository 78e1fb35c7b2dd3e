// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	record "sluice.dev/sluice/internal/evidence"
)

// A Place is where evidence is exported to.
type Place interface {
	// Name tells the place from others, and stays the same for the same place. It
	// has no comma.
	Name() string
	// Put writes a file under a name with slashes, in the place of one that is
	// there. Until it returns without an error nobody sees a part of it.
	Put(ctx context.Context, file, contentType string, data []byte) error
}

const (
	exportFirst = time.Second
	exportLast  = 10 * time.Minute
	// exportTimeout bounds one try.
	exportTimeout = 2 * time.Minute
)

// An Exporter writes records to places. What is still to be exported is known by
// the ConfigMaps, which say where they have been exported to: it goes on after
// any crash, and exports again what it may not have finished.
type Exporter struct {
	Client client.Client
	Live   client.Reader
	// Cached reads runs that are still there, for the archive.
	Cached client.Reader
	Places []Place

	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]
	mu    sync.Mutex
	runs  map[types.NamespacedName][]*v1alpha1.AnalysisRun
}

// NewExporter returns an Exporter to places.
func NewExporter(c client.Client, live, cached client.Reader, places []Place) *Exporter {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](exportFirst, exportLast)
	return &Exporter{
		Client: c, Live: live, Cached: cached, Places: places,
		queue: workqueue.NewTypedRateLimitingQueue(limiter), runs: map[types.NamespacedName][]*v1alpha1.AnalysisRun{},
	}
}

// add exports the record that the ConfigMap called name keeps.
func (e *Exporter) add(name types.NamespacedName, runs []*v1alpha1.AnalysisRun) {
	e.mu.Lock()
	e.runs[name] = runs
	e.mu.Unlock()
	e.queue.Add(name)
}

// resume exports those of list that were not, or not everywhere.
func (e *Exporter) resume(list []metav1.PartialObjectMetadata) {
	for i := range list {
		if k, err := record.KeptOf(&list[i].ObjectMeta); err == nil && len(e.missing(k.Exported)) > 0 {
			e.queue.Add(client.ObjectKeyFromObject(&list[i]))
		}
	}
}

// missing are the places that are not among done.
func (e *Exporter) missing(done []string) []Place {
	var out []Place
	for _, p := range e.Places {
		if !slices.Contains(done, p.Name()) {
			out = append(out, p)
		}
	}
	return out
}

// Start exports until ctx ends.
func (e *Exporter) Start(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		e.queue.ShutDown()
	}()
	log := ctrl.Log.WithName("evidence")
	for {
		name, over := e.queue.Get()
		if over {
			return nil
		}
		if err := e.export(ctx, name); err != nil && ctx.Err() == nil {
			log.Error(err, "evidence could not be exported; it is tried again", "configmap", name.String(), "tries", e.queue.NumRequeues(name)+1)
			e.queue.AddRateLimited(name)
		} else {
			e.queue.Forget(name)
		}
		e.queue.Done(name)
	}
}

// export writes one record to the places that lack it.
func (e *Exporter) export(ctx context.Context, name types.NamespacedName) error {
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	cm := &corev1.ConfigMap{}
	if err := e.Live.Get(ctx, name, cm); err != nil {
		if client.IgnoreNotFound(err) == nil {
			e.done(name)
			return nil // the history is full, or the Rollout is gone
		}
		return fmt.Errorf("read it: %w", err)
	}
	kept, err := record.KeptOf(&cm.ObjectMeta)
	if err != nil {
		return err //nolint:wrapcheck // it says which ConfigMap
	}
	rec, err := record.FromConfigMap(cm)
	if err != nil {
		return err //nolint:wrapcheck // it says which ConfigMap
	}
	files, err := filesOf(&rec, e.runsOf(ctx, name, &rec))
	if err != nil {
		return err
	}
	was := len(kept.Exported)
	var errs []error
	for _, p := range e.missing(kept.Exported) {
		if err := put(ctx, p, files); err != nil {
			errs = append(errs, err)
			continue
		}
		kept.Exported = append(kept.Exported, p.Name())
	}
	if len(kept.Exported) > was {
		errs = append(errs, e.note(ctx, cm, kept.Exported))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	e.done(name)
	return nil
}

func (e *Exporter) done(name types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, name)
}

// note writes down on cm where it has been exported to.
func (e *Exporter) note(ctx context.Context, cm *corev1.ConfigMap, to []string) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{record.AnnotationExported: strings.Join(to, ",")}}})
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	if err := e.Client.Patch(ctx, cm, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("note that it is exported: %w", err)
	}
	return nil
}

// runsOf are the runs of a record, as far as they are still known.
func (e *Exporter) runsOf(ctx context.Context, name types.NamespacedName, rec *record.Record) []*v1alpha1.AnalysisRun {
	e.mu.Lock()
	runs, ok := e.runs[name]
	e.mu.Unlock()
	if ok {
		return runs
	}
	for i := range rec.Runs {
		run := &v1alpha1.AnalysisRun{}
		err := e.Cached.Get(ctx, client.ObjectKey{Namespace: name.Namespace, Name: rec.Runs[i].Name}, run)
		if owner := metav1.GetControllerOf(run); err == nil && owner != nil && string(owner.UID) == rec.UID {
			runs = append(runs, run)
		}
	}
	return runs
}

// A file is what is written to a place.
type file struct {
	name, contentType string
	data              []byte
}

func filesOf(rec *record.Record, runs []*v1alpha1.AnalysisRun) ([]file, error) {
	page, errPage := record.HTML(rec)
	data, errData := record.JSON(rec)
	archive, errArchive := record.Zip(rec, runs)
	if err := errors.Join(errPage, errData, errArchive); err != nil {
		return nil, fmt.Errorf("write it: %w", err)
	}
	base := rec.Namespace + "/" + rec.Rollout + "/" + record.Base(rec)
	// The archive goes last: where it is, the others are.
	return []file{
		{base + ".json", "application/json", data},
		{base + ".html", "text/html; charset=utf-8", page},
		{base + ".zip", "application/zip", archive},
	}, nil
}

func put(ctx context.Context, p Place, files []file) error {
	for _, f := range files {
		if err := p.Put(ctx, f.name, f.contentType, f.data); err != nil {
			return fmt.Errorf("%s: write %s: %w", p.Name(), f.name, err)
		}
	}
	return nil
}
