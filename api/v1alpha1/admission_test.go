// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"sluice.dev/sluice/api/v1alpha1"
)

// An admission does with an object what the API server does before it stores it,
// with the API server's own code.
type admission struct {
	schema *schema.Structural
	spec   rest.RESTCreateUpdateStrategy
	status rest.RESTUpdateStrategy
}

// newAdmission prepares the admission of a CRD's objects. It fails the test when
// the API server would not take the CRD, for instance because a rule is too
// expensive.
func newAdmission(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) *admission {
	t.Helper()
	internal := internalCRD(t, crd)
	if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), internal); len(errs) > 0 {
		t.Fatalf("the API server refuses the CRD of %s:\n%v", crd.Spec.Names.Kind, errs.ToAggregate())
	}
	spec := internal.Spec
	version := spec.Versions[0]
	root := schemaOf(internal)
	structural, err := schema.NewStructural(root)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(root)
	if err != nil {
		t.Fatal(err)
	}
	var subresources apiextensions.CustomResourceSubresources
	switch {
	case version.Subresources != nil:
		subresources = *version.Subresources
	case spec.Subresources != nil:
		subresources = *spec.Subresources
	}
	var statusValidator validation.SchemaValidator
	if s, ok := root.Properties["status"]; ok && subresources.Status != nil {
		if statusValidator, _, err = validation.NewSchemaValidator(&s); err != nil {
			t.Fatal(err)
		}
	}
	strategy := customresource.NewStrategy(
		nil, spec.Scope == apiextensions.NamespaceScoped,
		v1alpha1.SchemeGroupVersion.WithKind(spec.Names.Kind),
		validator, statusValidator, structural, subresources.Status, subresources.Scale, nil)
	return &admission{schema: structural, spec: strategy, status: customresource.NewStatusStrategy(strategy)}
}

// internalCRD converts a CRD to the form that the API server works with.
func internalCRD(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	t.Helper()
	crd = crd.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	crd.Status.StoredVersions = []string{v1alpha1.Version}
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
		t.Fatal(err)
	}
	return internal
}

// schemaOf finds the schema where the conversion has put it: versions that agree
// share one.
func schemaOf(crd *apiextensions.CustomResourceDefinition) *apiextensions.JSONSchemaProps {
	if s := crd.Spec.Versions[0].Schema; s != nil {
		return s.OpenAPIV3Schema
	}
	return crd.Spec.Validation.OpenAPIV3Schema
}

// decode prunes and defaults an object. Unknown fields are an error, as they are
// for kubectl.
func (a *admission) decode(obj *unstructured.Unstructured) error {
	unknown := pruning.PruneWithOptions(obj.Object, a.schema, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(obj.Object, a.schema)
	defaulting.Default(obj.Object, a.schema)
	if len(unknown) > 0 {
		return fmt.Errorf("strict decoding error: unknown field %q", strings.Join(unknown, ", "))
	}
	return nil
}

// create admits a new object.
func (a *admission) create(obj *unstructured.Unstructured) error {
	if err := a.decode(obj); err != nil {
		return err
	}
	return aggregate(a.spec.Validate(requestContext(obj), obj))
}

// update admits a change of an object's main resource.
func (a *admission) update(obj, old *unstructured.Unstructured) error {
	if err := a.decode(obj); err != nil {
		return err
	}
	ctx := requestContext(obj)
	a.spec.PrepareForUpdate(ctx, obj, old)
	return aggregate(a.spec.ValidateUpdate(ctx, obj, old))
}

// updateStatus admits a change through the status subresource.
func (a *admission) updateStatus(obj, old *unstructured.Unstructured) error {
	if err := a.decode(obj); err != nil {
		return err
	}
	ctx := requestContext(obj)
	a.status.PrepareForUpdate(ctx, obj, old)
	return aggregate(a.status.ValidateUpdate(ctx, obj, old))
}

func requestContext(obj *unstructured.Unstructured) context.Context {
	return genericrequest.WithNamespace(context.Background(), obj.GetNamespace())
}

func aggregate(errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return errs.ToAggregate()
}

// admissions holds the admission of each kind: building one takes a while.
var admissions = sync.OnceValue(func() map[string]*admission { return map[string]*admission{} })

var admissionsLock sync.Mutex

// admissionOf returns the admission of a kind of the generated CRDs.
func admissionOf(t testing.TB, kind string) *admission {
	t.Helper()
	admissionsLock.Lock()
	defer admissionsLock.Unlock()
	all := admissions()
	if all[kind] == nil {
		all[kind] = newAdmission(t, crdOf(t, kind))
	}
	return all[kind]
}

// readObjects reads the objects of a file and gives them what the API server
// gives a new object.
func readObjects(t testing.TB, name string) []*unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	docs := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		obj := &unstructured.Unstructured{}
		if err := docs.Decode(obj); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(obj.Object) == 0 {
			continue
		}
		if err := fillIn(obj); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, obj)
	}
}

func fillIn(obj *unstructured.Unstructured) error {
	obj.SetUID("00000000-0000-0000-0000-000000000000")
	obj.SetGeneration(1)
	if obj.GetNamespace() == "" && obj.GetKind() != v1alpha1.KindClusterAnalysisTemplate {
		obj.SetNamespace("default")
	}
	// Numbers must be int64, as they are when they come over the wire.
	data, err := obj.MarshalJSON()
	if err != nil {
		return err
	}
	decoded, err := runtime.Decode(unstructured.UnstructuredJSONScheme, data)
	if err != nil {
		return err
	}
	obj.Object = decoded.(*unstructured.Unstructured).Object
	return nil
}
