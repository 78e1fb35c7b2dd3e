// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cli"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/evidence"
	"sluice.dev/sluice/internal/export/s3test"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const ns = "payments"

// A stand is a control plane, a Datadog whose answers are noted, and two places
// to export to.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
	answers *answers
	bucket  *s3test.Server
	folder  string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: "api", App: "app"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	s := &stand{Bed: bed.New(t, cluster.Options{}), datadog: dd, answers: note(t, dd.URL()), bucket: s3test.New("evidence"), folder: filepath.Join(t.TempDir(), "evidence")}
	t.Cleanup(s.bucket.Close)
	s.Namespace(ns)
	s.Namespace(bed.ControllerNamespace)
	s.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {namespace: %s, name: datadog}
stringData: {address: "%s", apiKey: api, appKey: app}
`, bed.ControllerNamespace, s.answers.URL))
	return s
}

func (s *stand) controller() (stop func()) {
	s.Helper()
	s.Setenv("AWS_ACCESS_KEY_ID", s.bucket.AccessKey)
	s.Setenv("AWS_SECRET_ACCESS_KEY", s.bucket.SecretKey)
	return s.Controller(func(c *app.Config) {
		c.ErrorBackoff = time.Second
		c.Evidence.Folder = s.folder
		c.Evidence.S3.Bucket, c.Evidence.S3.Endpoint, c.Evidence.S3.Region, c.Evidence.S3.Prefix = s.bucket.Bucket, s.bucket.URL, s.bucket.Region, "test"
	})
}

// cli runs a command and returns what it wrote.
func (s *stand) cli(args ...string) string {
	s.Helper()
	var out, errOut bytes.Buffer
	args = append([]string{"--kubeconfig", s.Cluster.Kubeconfig(), "-n", ns}, args...)
	if code := cli.Main(s.Context(), cli.Options{Program: "sluice", Out: &out, Err: &errOut}, args); code != 0 {
		s.Fatalf("%v: %s%s", args, out.String(), errOut.String())
	}
	return out.String()
}

func (s *stand) record(args ...string) evidence.Record {
	s.Helper()
	r, err := evidence.Read([]byte(s.cli(append([]string{"evidence", "rollout", "checkout", "-o", "json"}, args...)...)))
	if err != nil {
		s.Fatal(err)
	}
	return r
}

// kept waits until the record of an attempt is kept and exported.
func (s *stand) kept(revision, attempt int) *corev1.ConfigMap {
	s.Helper()
	cm := &corev1.ConfigMap{}
	s.Eventually(fmt.Sprintf("attempt %d at revision %d is on record", attempt, revision), func() error {
		name := evidence.StoredName("checkout", int64(revision), int32(attempt))
		if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: ns, Name: name}, cm); err != nil {
			return err
		}
		if to := cm.Annotations[evidence.AnnotationExported]; to != "folder,s3:evidence/test" {
			return fmt.Errorf("it is exported to %q", to)
		}
		return nil
	})
	return cm
}

// traffic counts requests to the newest revision, of which the share bad fail,
// until it is stopped.
func (s *stand) traffic(bad float64) (stop func()) {
	s.Helper()
	before := s.Rollout(ns, "checkout").Status.StableRS
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 1.0; ; n++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			ro := &v1alpha1.Rollout{}
			err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: ns, Name: "checkout"}, ro)
			if w := ro.Status.Canary.Weights; err != nil || w == nil || w.Canary.Weight == 0 || ro.Status.CurrentPodHash == before {
				continue
			}
			tags := map[string]string{"hash": ro.Status.CurrentPodHash}
			s.datadog.Count("hits", tags, time.Now(), 10*n)
			if bad > 0 {
				s.datadog.Count("errors", tags, time.Now(), n)
			}
		}
	}()
	return func() { close(end); <-done }
}

func TestTheRecordIsWhatHappened(t *testing.T) {
	s := newStand(t)
	stop := s.controller()
	s.Apply(objects)
	s.Phase(ns, "checkout", v1alpha1.RolloutPhaseHealthy)
	s.Apply(objects, "checkout:1", "checkout:2", "annotations: {}", `annotations: {sluice.dev/started-by: "pipeline 42", sluice.dev/commit: abc123}`)
	bad := s.traffic(0.1)
	s.Eventually("the release is aborted", func() error {
		if ro := s.Rollout(ns, "checkout"); !ro.Status.Abort {
			return fmt.Errorf("it is %s: %s", ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	bad()
	cm := s.kept(2, 1)

	t.Run("its numbers are those that Datadog answered", func(t *testing.T) {
		r := s.record()
		values, counts := readings(r)
		if n := len(values); n < 3 || !slices.Equal(values, s.answers.values()[:n]) {
			t.Errorf("on record are %v, Datadog answered %v", values, s.answers.values())
		}
		for i, c := range s.answers.counts()[:len(counts)] {
			if c["hits"] != counts[i]["hits"] || c["errors"] != counts[i]["errors"] {
				t.Errorf("reading %d: on record is %v, Datadog answered %v", i, counts[i], c)
			}
		}
		sum := s.answers.sums()
		if q := r.Requests; len(sum) != 1 || q == nil || q.Served != sum[0]["hits"] || q.Failed != sum[0]["errors"] || q.Served <= q.Failed || q.Failed == 0 {
			t.Errorf("the canary served %+v, Datadog answered %v", q, sum)
		}
		m := r.Runs[0].Metrics[0]
		if m.Pass != "result < 0.01" || m.Fail != "result >= 0.05" || m.FailureLimit != 2 || int(m.Failed) < 3 || !strings.Contains(m.Query, "sum:hits{hash:"+r.Change.To.Hash+"}") {
			t.Errorf("the metric is %+v", m)
		}
	})
	t.Run("it says what changed, who began it, and what happened when", func(t *testing.T) {
		r := s.record("--attempt", "1")
		ro := s.Rollout(ns, "checkout")
		if r.Outcome != v1alpha1.OutcomeAborted || r.StartedBy != (evidence.Starter{Name: "pipeline 42", Manager: "bed"}) || r.Change.Commit != "abc123" {
			t.Errorf("%s, started by %+v, commit %s", r.Outcome, r.StartedBy, r.Change.Commit)
		}
		if im := r.Change.Images; len(im) != 1 || im[0].From != "registry.internal/checkout:1" || im[0].To != "registry.internal/checkout:2" {
			t.Errorf("images are %+v", im)
		}
		var went []string
		for i, e := range r.Timeline {
			went = append(went, e.String())
			if i > 0 && e.At.Before(r.Timeline[i-1].At) {
				t.Errorf("%v is before %v", e, r.Timeline[i-1])
			}
		}
		story := strings.Join(went, "\n")
		for _, want := range []string{"step 0: setWeight 20\nthe canary gets 20 % of the traffic\nstep 1: analysis\n", "aborted: AnalysisFailed\nthe canary gets 0 % of the traffic"} {
			if !strings.Contains(story, want) {
				t.Errorf("no %q in\n%s", want, story)
			}
		}
		if d := r.EndedAt.Sub(ro.Status.AbortedAt.Time); d.Abs() > time.Second {
			t.Errorf("it ended at %s, the status says %s", r.EndedAt, ro.Status.AbortedAt)
		}
		if len(r.Missing) != 0 {
			t.Errorf("it lacks %q", r.Missing)
		}
	})
	t.Run("it is exported", func(t *testing.T) {
		r := s.record()
		objects := s.bucket.Objects()
		for _, ending := range []string{".html", ".json", ".zip"} {
			name := ns + "/checkout/" + evidence.Base(&r) + ending
			data, err := os.ReadFile(filepath.Join(s.folder, name))
			if err != nil || len(data) == 0 || !bytes.Equal(data, objects["test/"+name].Data) {
				t.Errorf("%s: %v, %d bytes in the folder and %d in the bucket", name, err, len(data), len(objects["test/"+name].Data))
			}
			if ending == ".zip" {
				if z, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil || len(z.File) != 3 {
					t.Errorf("the archive: %v %+v", err, z)
				}
			}
		}
		if len(objects) != 3 {
			t.Errorf("the bucket has %d objects", len(objects))
		}
	})

	stop()
	s.controller()
	s.cli("retry", "rollout", "checkout")
	good := s.traffic(0)
	defer good()
	s.Eventually("the retry is promoted", func() error {
		if ro := s.Rollout(ns, "checkout"); ro.Status.StableRS != ro.Status.CurrentPodHash {
			return fmt.Errorf("it is %s: %s", ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	s.kept(2, 2)
	t.Run("an attempt that ended earlier is still on record, as it was", func(t *testing.T) {
		if again := s.kept(2, 1); again.ResourceVersion != cm.ResourceVersion {
			t.Errorf("it was written again: %s, then %s", cm.ResourceVersion, again.ResourceVersion)
		}
		one, two := s.record("--attempt", "1"), s.record()
		if one.Outcome != v1alpha1.OutcomeAborted || two.Outcome != v1alpha1.OutcomePromoted || two.Attempt != 2 || !two.StartedBy.Retry {
			t.Errorf("the first is %s, the second, of %+v, %s", one.Outcome, two.StartedBy, two.Outcome)
		}
		if two.Requests == nil || two.Requests.Failed != 0 || two.Requests.From.Before(one.EndedAt) {
			t.Errorf("the second served %+v", two.Requests)
		}
		if page := s.cli("evidence", "rollout", "checkout", "-o", "html"); !strings.Contains(page, "Revision 2 of payments/checkout (attempt 2) was promoted") {
			t.Error("the page does not say so")
		}
	})
	t.Run("it goes with its Rollout", func(t *testing.T) {
		if err := s.Client.Delete(t.Context(), s.Rollout(ns, "checkout")); err != nil {
			t.Fatal(err)
		}
		s.Eventually("the records are gone", func() error {
			var list corev1.ConfigMapList
			if err := s.Client.List(t.Context(), &list, client.InNamespace(ns), client.HasLabels{evidence.LabelOf}); err != nil {
				return err
			}
			if len(list.Items) > 0 {
				return fmt.Errorf("there are %d", len(list.Items))
			}
			return nil
		})
	})
}

// readings are the values on record, and what the queries counted.
func readings(r evidence.Record) (values []string, counts []map[string]float64) {
	for _, run := range r.Runs {
		for _, m := range run.Metrics {
			for _, x := range m.Readings {
				if x.Value != "" {
					values, counts = append(values, x.Value), append(counts, x.Counts)
				}
			}
		}
	}
	return values, counts
}
