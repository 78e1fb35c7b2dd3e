// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package defaulting_test

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

// drawer fills any API type by reflection. Which fields are set is drawn once per
// template, so that some are sparse, as people write them, and some are full.
type drawer struct {
	t       *rapid.T
	density int // in percent
}

func drawTemplate(t *rapid.T) *corev1.PodTemplateSpec {
	d := drawer{t: t, density: rapid.SampledFrom([]int{5, 20, 50, 80}).Draw(t, "density")}
	template := &corev1.PodTemplateSpec{}
	d.fill(reflect.ValueOf(&template.Spec).Elem(), "spec")
	template.Labels = rapid.MapOfN(rapid.SampledFrom(words), rapid.SampledFrom(words), 0, 2).Draw(t, "labels")
	if len(template.Spec.Containers) == 0 {
		d.fill(reflect.ValueOf(&template.Spec.Containers).Elem(), "spec.containers")
	}
	return template
}

// words are strings that fit nowhere in particular.
var words = []string{"a", "b", "default"}

// images are what pull policies are derived from, the odd ones with reason.
var images = []string{
	"nginx", "nginx:latest", "nginx:1.27", "library/nginx", "localhost/nginx:latest", "localhost:5000/nginx",
	"registry.example.com/team/shop", "registry.example.com/team/shop:v1", "registry.example.com:443/shop",
	"registry.example.com:443/shop:latest", "shop:latest2", "shop:Latest", "latest", "SHOP", "SHOP:latest", "a b", "{{image}}",
	"shop@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"shop:latest@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"shop@sha256:short", "shop:", ":latest", "shop:-x", "/shop", "shop/", "a//b:latest", "a__b", "a___b", "a-.b", "a:b:c",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "[2001:db8::1]:5000/shop:latest", "EXAMPLE.com/shop",
}

// enums are the strings that the defaults look at, by type.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[corev1.RestartPolicy]():        {"Always", "Never", "OnFailure"},
	reflect.TypeFor[corev1.DNSPolicy]():            {"ClusterFirst", "Default", "None"},
	reflect.TypeFor[corev1.PullPolicy]():           {"Always", "Never", "IfNotPresent"},
	reflect.TypeFor[corev1.Protocol]():             {"TCP", "UDP"},
	reflect.TypeFor[corev1.URIScheme]():            {"HTTP", "HTTPS"},
	reflect.TypeFor[metav1.FieldsV1]():             nil,
	reflect.TypeFor[corev1.HostPathType]():         {"Directory", "File"},
	reflect.TypeFor[corev1.PersistentVolumeMode](): {"Block", "Filesystem"},
}

var quantities = []string{"0", "1", "100m", "1.5", "1500u", "1n", "64Mi", "1e3", "1.5Gi", "0.0001"}

func (d drawer) fill(v reflect.Value, path string) {
	switch v.Type() {
	case reflect.TypeFor[resource.Quantity]():
		v.Set(reflect.ValueOf(resource.MustParse(rapid.SampledFrom(quantities).Draw(d.t, path))))
		return
	case reflect.TypeFor[intstr.IntOrString]():
		v.Set(reflect.ValueOf(intstr.FromInt32(rapid.Int32Range(0, 2).Draw(d.t, path))))
		return
	case reflect.TypeFor[metav1.Time]():
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "ObjectMeta" || !d.chance(path+"."+name) {
				continue
			}
			d.fill(v.Field(i), path+"."+name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.fill(v.Elem(), path)
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(d.t, path+".len")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		d.fillMap(v, path)
	default:
		d.fillScalar(v, path)
	}
}

func (d drawer) fillMap(v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, key := range []string{"cpu", "memory"}[:rapid.IntRange(0, 2).Draw(d.t, path+".len")] {
		value := reflect.New(v.Type().Elem()).Elem()
		d.fill(value, path+"."+key)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
	}
}

func (d drawer) fillScalar(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		choice := enums[v.Type()]
		switch {
		case choice == nil && slices.Contains([]string{"Image", "Reference"}, lastField(path)):
			choice = images
		case choice == nil:
			choice = words
		}
		// The empty string is set on purpose too: it is not the same as no pointer.
		v.SetString(rapid.SampledFrom(append([]string{""}, choice...)).Draw(d.t, path))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(d.t, path))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64Range(0, 40).Draw(d.t, path))
	case reflect.Uint8:
		v.SetUint(rapid.Uint64Range(0, 40).Draw(d.t, path))
	default:
		d.t.Fatalf("%s: the generator knows nothing of %s", path, v.Type())
	}
}

func lastField(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return path
}

func (d drawer) chance(path string) bool {
	return rapid.IntRange(1, 100).Draw(d.t, path+"?") <= d.density
}
