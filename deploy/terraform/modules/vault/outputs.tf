# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

output "role" {
  description = "The name of the role, for controller.vault.role."
  value       = vault_kubernetes_auth_backend_role.controller.role_name
}

output "auth_path" {
  description = "Where the auth backend is mounted, for controller.vault.authMount."
  value       = vault_auth_backend.kubernetes.path
}
