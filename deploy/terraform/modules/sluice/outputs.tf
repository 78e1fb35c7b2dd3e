# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

output "service_account" {
  description = "The controller's ServiceAccount, to which Vault's role is bound."
  value       = var.name == "argo-rollouts" ? var.name : "${var.name}-sluice"
}
