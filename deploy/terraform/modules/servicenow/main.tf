# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

# What $servicenow-username and $servicenow-password mean in the ConfigMap
# argo-rollouts-notification-configmap. Its values are in the state.
resource "kubernetes_secret" "notifications" {
  metadata {
    name      = "argo-rollouts-notification-secret"
    namespace = var.namespace
  }

  data = {
    servicenow-username = var.username
    servicenow-password = var.password
  }
}
