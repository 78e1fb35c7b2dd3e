# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

# The CRDs first, then istiod: it refuses to start without them.
resource "helm_release" "base" {
  name       = "istio-base"
  namespace  = var.namespace
  repository = var.repository
  chart      = "base"
  version    = var.chart_version
  values     = [yamlencode({ defaultRevision = "default" })]
}

resource "helm_release" "istiod" {
  name       = "istiod"
  namespace  = var.namespace
  repository = var.repository
  chart      = "istiod"
  version    = var.chart_version
  values     = [yamlencode(var.values)]
  atomic     = true

  depends_on = [helm_release.base]
}
