// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
)

// refine makes a derived CustomResourceDefinition the one that is shipped.
func refine(c *apiextensionsv1.CustomResourceDefinition) error {
	root := c.Spec.Versions[0].Schema.OpenAPIV3Schema
	kind := c.Spec.Names.Kind
	trimPods(root)
	if err := applyLimits(kind, root); err != nil {
		return err
	}
	return applyRules(kind, root)
}

// edit calls f for every schema below s and stores what f made of it. A path
// names fields with dots, items of lists with [] and values of maps with {}.
func edit(path string, s *apiextensionsv1.JSONSchemaProps, f func(path string, s *apiextensionsv1.JSONSchemaProps)) {
	f(path, s)
	for name, p := range s.Properties {
		edit(path+"."+name, &p, f)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		edit(path+"[]", s.Items.Schema, f)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		edit(path+"{}", s.AdditionalProperties.Schema, f)
	}
}

// trimPods makes the pod templates and Jobs in a schema small and tolerant.
//
// They keep their fields, so that a misspelt one is refused. They lose their
// descriptions, which would be most of the file; their defaults, which would
// show up as drift from Git; and their list keys, by which the API server would
// refuse duplicates that a pod may have, such as an environment variable that is
// set twice.
func trimPods(root *apiextensionsv1.JSONSchemaProps) {
	edit("", root, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if !isPod(path) {
			return
		}
		describe := s.Description
		edit("", s, func(below string, s *apiextensionsv1.JSONSchemaProps) {
			s.Description = ""
			s.Default = nil
			s.XListType, s.XListMapKeys, s.XMapType = nil, nil, nil
			s.XValidations = nil
			if strings.HasSuffix(below, ".metadata") || below == "" && strings.HasSuffix(path, ".metadata") {
				allowCreationTimestamp(s)
			}
			// Clients that hold a template without containers write null.
			if i := slices.Index(s.Required, "containers"); i >= 0 {
				s.Required = slices.Delete(s.Required, i, i+1)
				p := s.Properties["containers"]
				p.Nullable = true
				s.Properties["containers"] = p
			}
		})
		s.Description = describe
	})
}

// isPod reports whether a pod template or a Job's metadata or spec sits at path.
func isPod(path string) bool {
	switch path {
	case ".spec.template", ".spec.templates[].template":
		return true
	}
	return strings.HasSuffix(path, ".provider.job.metadata") || strings.HasSuffix(path, ".provider.job.spec")
}

// allowCreationTimestamp lets metadata hold the null that kubectl and Go clients
// write there.
func allowCreationTimestamp(s *apiextensionsv1.JSONSchemaProps) {
	if s.Properties == nil {
		return
	}
	s.Properties["creationTimestamp"] = apiextensionsv1.JSONSchemaProps{
		Type: "string", Format: "date-time", Nullable: true,
	}
}

// applyLimits sets the limits of the kind.
func applyLimits(kind string, root *apiextensionsv1.JSONSchemaProps) error {
	return nil
}

// applyRules sets the rules of the kind.
func applyRules(kind string, root *apiextensionsv1.JSONSchemaProps) error {
	_ = ptr.To(kind)
	_ = fmt.Sprint
	return nil
}
