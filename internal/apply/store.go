// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// store writes the status of next, which differs from was in nothing else, and
// makes next what is stored. Only the status is compared, and only the metadata
// is asked back: encoding and decoding whole Rollouts was the largest part of
// what a pass computes.
func store(ctx context.Context, c client.Client, was, next *v1alpha1.Rollout) error {
	before, err := json.Marshal(&was.Status)
	if err != nil {
		return fmt.Errorf("encode the status that was observed: %w", err)
	}
	after, err := json.Marshal(&next.Status)
	if err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	diff, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return fmt.Errorf("compare the status with the one that was observed: %w", err)
	}
	patch, err := mergePatch(map[string]any{
		"metadata": map[string]string{"resourceVersion": was.ResourceVersion},
		"status":   json.RawMessage(diff),
	})
	if err != nil {
		return err
	}
	answer := metadataOf(was)
	if err := c.Status().Patch(ctx, answer, patch); err != nil {
		return err //nolint:wrapcheck // the caller says whose status
	}
	stored := v1alpha1.RolloutStatus{} // as the API server encodes it: times in seconds, nothing empty
	if err := json.Unmarshal(after, &stored); err != nil {
		return fmt.Errorf("decode the status: %w", err)
	}
	next.Status = stored
	next.ResourceVersion, next.Generation = answer.ResourceVersion, answer.Generation
	return nil
}

// metadataOf names ro to a write whose answer is to be its metadata alone.
func metadataOf(ro *v1alpha1.Rollout) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{}
	out.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("Rollout"))
	out.Namespace, out.Name = ro.Namespace, ro.Name
	return out
}
