# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

resource "helm_release" "this" {
  name      = var.name
  namespace = var.namespace
  chart     = var.chart
  values    = [yamlencode(var.values)]

  # A release that does not become ready is taken back, with what it made.
  atomic  = true
  wait    = true
  timeout = var.timeout
}
