// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// refine makes a derived CustomResourceDefinition the one that is shipped.
func refine(c *apiextensionsv1.CustomResourceDefinition) error {
	root := c.Spec.Versions[0].Schema.OpenAPIV3Schema
	trimPods(root)
	if err := applyLimits(c.Spec.Names.Kind, root); err != nil {
		return err
	}
	return applyRules(c.Spec.Names.Kind, root)
}

// edit calls f for every schema at or below s and stores what f made of it. A
// path names fields with dots, items of lists with [] and values of maps with {}.
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
// show up as drift from Git; their rules, which are about changes and a changed
// template is a new pod; and their list keys, by which the API server would
// refuse duplicates that a pod may have, such as an environment variable that is
// set twice.
func trimPods(root *apiextensionsv1.JSONSchemaProps) {
	edit("", root, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		if !isPod(path) {
			return
		}
		description := s.Description
		edit(path, s, func(below string, s *apiextensionsv1.JSONSchemaProps) {
			s.Description = ""
			s.Default = nil
			s.XListType, s.XListMapKeys, s.XMapType = nil, nil, nil
			s.XValidations = nil
			if strings.HasSuffix(below, ".metadata") {
				allowCreationTimestamp(s)
			}
		})
		s.Description = description
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

// allowCreationTimestamp lets metadata name the null that kubectl and Go clients
// write there.
func allowCreationTimestamp(s *apiextensionsv1.JSONSchemaProps) {
	if s.Properties == nil {
		return
	}
	s.Properties["creationTimestamp"] = apiextensionsv1.JSONSchemaProps{
		Type: "string", Format: "date-time", Nullable: true,
	}
}
