// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
)

// A record is kept in a ConfigMap beside its Rollout, which owns it.
const (
	// LabelOf is on the ConfigMap: the UID of the Rollout.
	LabelOf = v1alpha1.SluicePrefix + "evidence-of"
	// AnnotationOutcome, and the others, say what the record is about, for whom
	// reads only what the ConfigMap says of itself.
	AnnotationOutcome  = v1alpha1.SluicePrefix + "outcome"
	AnnotationRevision = v1alpha1.SluicePrefix + "revision"
	AnnotationEnded    = v1alpha1.SluicePrefix + "ended-at"
	// AnnotationExported names the places that the record was exported to.
	AnnotationExported = v1alpha1.SluicePrefix + "exported-to"

	keyRecord  = "record.json.gz"
	keyVerdict = "verdict"
)

// maxName is the longest name of an object.
const maxName = 253

// StoredName is the name of the ConfigMap that keeps the record of an attempt.
func StoredName(rollout string, revision int64, attempt int32) string {
	tail := fmt.Sprintf("-evidence-%d-%d", revision, attempt)
	if len(rollout)+len(tail) > maxName {
		sum := sha256.Sum256([]byte(rollout))
		rollout = rollout[:maxName-len(tail)-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return rollout + tail
}

// ToConfigMap is what keeps r, in at most limit bytes of it.
func ToConfigMap(r *Record, limit int) (*corev1.ConfigMap, error) {
	data, err := Pack(*r, limit)
	if err != nil {
		return nil, err
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace, Name: StoredName(r.Rollout, r.Revision, r.Attempt),
			Labels: map[string]string{LabelOf: r.UID, "app.kubernetes.io/managed-by": "sluice"},
			Annotations: map[string]string{
				AnnotationRevision: strconv.FormatInt(r.Revision, 10), KeyAttempt: strconv.Itoa(int(r.Attempt)),
				AnnotationOutcome: r.Outcome, AnnotationEnded: r.EndedAt.UTC().Format(time.RFC3339Nano),
			},
		},
		Data:       map[string]string{keyVerdict: fit.Bytes(strings.Join(r.Verdict, "\n"), 4096) + "\n"},
		BinaryData: map[string][]byte{keyRecord: data},
	}, nil
}

// FromConfigMap reads what ToConfigMap made.
func FromConfigMap(cm *corev1.ConfigMap) (Record, error) {
	data, ok := cm.BinaryData[keyRecord]
	if !ok {
		return Record{}, fmt.Errorf("ConfigMap %s/%s: it has no %s", cm.Namespace, cm.Name, keyRecord)
	}
	r, err := Unpack(data)
	if err != nil {
		return Record{}, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	if r.UID != cm.Labels[LabelOf] {
		return Record{}, fmt.Errorf("ConfigMap %s/%s: its record is of another Rollout than its label says", cm.Namespace, cm.Name)
	}
	return r, nil
}

// A Kept is a record that is kept, by what its ConfigMap says of itself.
type Kept struct {
	Name     string
	Revision int64
	Attempt  int32
	Outcome  string
	Ended    time.Time
	// Exported are the places that it was exported to.
	Exported []string
}

// KeptOf reads the metadata of a ConfigMap. It returns an error if that is not
// that of a record.
func KeptOf(m *metav1.ObjectMeta) (Kept, error) {
	revision, errRevision := strconv.ParseInt(m.Annotations[AnnotationRevision], 10, 64)
	attempt, errAttempt := strconv.ParseInt(m.Annotations[KeyAttempt], 10, 32)
	ended, errEnded := time.Parse(time.RFC3339Nano, m.Annotations[AnnotationEnded])
	if err := errors.Join(errRevision, errAttempt, errEnded); err != nil || m.Labels[LabelOf] == "" {
		return Kept{}, fmt.Errorf("ConfigMap %s/%s does not say which attempt it is about: %w", m.Namespace, m.Name, err)
	}
	k := Kept{Name: m.Name, Revision: revision, Attempt: int32(attempt), Outcome: m.Annotations[AnnotationOutcome], Ended: ended}
	if to := m.Annotations[AnnotationExported]; to != "" {
		k.Exported = strings.Split(to, ",")
	}
	return k, nil
}

// SortKept puts the newest first.
func SortKept(all []Kept) {
	slices.SortFunc(all, func(a, b Kept) int {
		return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Attempt, a.Attempt), cmp.Compare(a.Name, b.Name))
	})
}
