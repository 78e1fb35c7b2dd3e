# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

# A DaemonSet on every worker node. The customer ID is the one that enrols a
# sensor: it is a value of the chart, and so in the state.
resource "helm_release" "sensor" {
  name       = "falcon-sensor"
  namespace  = var.namespace
  repository = var.repository
  chart      = "falcon-sensor"
  version    = var.chart_version
  values = [sensitive(yamlencode({
    falcon = { cid = var.cid }
    node   = { enabled = true, image = { repository = var.image, tag = var.image_tag } }
  }))]
}
