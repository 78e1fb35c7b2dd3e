// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"io"
	"maps"
	"net/http"
)

// hopByHop are the headers that belong to one connection.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// outbound is r as it is sent to ep.
func outbound(r *http.Request, ep Endpoint) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme = "http"
	out.URL.Host = ep.Address
	for _, h := range hopByHop {
		out.Header.Del(h)
	}
	if r.ContentLength == 0 {
		out.Body = nil // so that the transport may try again by itself
	}
	return out
}

// copyResponse gives resp to the caller, with the rest of its body.
func copyResponse(w http.ResponseWriter, resp *http.Response) {
	defer func() { _ = resp.Body.Close() }()
	for _, h := range hopByHop {
		resp.Header.Del(h)
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // a caller that left is no failure of the mesh
}
