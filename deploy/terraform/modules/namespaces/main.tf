# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

# Labels and annotations of other programs stay: only those of labels are ours.
resource "kubernetes_namespace" "this" {
  for_each = var.namespaces

  metadata {
    name   = each.key
    labels = each.value
  }
}
