// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The grammar of image references, as the API server reads them. A reference
// that does not fit it has no tag, and so is not "latest".
const (
	hostLabel = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
	hostName  = `(?:` + hostLabel + `(?:\.` + hostLabel + `)*|\[[a-fA-F0-9:]+\])`
	pathPart  = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	imagePath = pathPart + `(?:/` + pathPart + `)*`
	imageTag  = `[\w][\w.-]{0,127}`
	digest    = `sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}`
)

var (
	reference = regexp.MustCompile(`^(?:` + hostName + `(?::[0-9]+)?/)?(` + imagePath + `)(?::(` + imageTag + `))?(?:@(` + digest + `))?$`)
	bareID    = regexp.MustCompile(`^[a-f0-9]{64}$`)
)

// maxPath is the longest path that an image reference may have, in bytes.
const maxPath = 255

// pullPolicy is Always for images that are, or by default mean, "latest", and
// IfNotPresent for all others.
func pullPolicy(image string) corev1.PullPolicy {
	if latest(image) {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// latest reports whether image is tagged "latest", or has neither tag nor
// digest.
func latest(image string) bool {
	if bareID.MatchString(image) {
		return false
	}
	domain, rest := splitDomain(image)
	parts := reference.FindStringSubmatch(domain + "/" + rest)
	if parts == nil || len(parts[1]) > maxPath {
		return false
	}
	tag, sum := parts[2], parts[3]
	return tag == "latest" || tag == "" && sum == ""
}

// splitDomain splits image into the registry's host and the rest. Names without
// a host are Docker Hub's, and those of one part are in its library.
func splitDomain(image string) (domain, rest string) {
	const hub = "docker.io"
	domain, rest, found := strings.Cut(image, "/")
	switch {
	case !found:
		return hub, "library/" + image
	case domain == "index.docker.io":
		domain = hub
	case domain == "localhost", strings.ContainsAny(domain, ".:"), strings.ToLower(domain) != domain:
	default:
		domain, rest = hub, image
	}
	if domain == hub && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return domain, rest
}
