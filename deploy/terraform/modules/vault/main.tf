# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

# How the controller logs in: with a token of its ServiceAccount that has an
# audience of its own. No key of ours is in Vault for it.
resource "vault_auth_backend" "kubernetes" {
  type = "kubernetes"
  path = var.auth_path
}

# Vault asks the cluster's API server about tokens with the token that it is
# shown, so it needs none of its own.
resource "vault_kubernetes_auth_backend_config" "this" {
  backend                = vault_auth_backend.kubernetes.path
  kubernetes_host        = var.kubernetes_host
  kubernetes_ca_cert     = var.kubernetes_ca
  disable_iss_validation = true
}

resource "vault_policy" "read" {
  name   = var.role
  policy = join("\n", [for path in var.paths : "path \"${path}\" { capabilities = [\"read\"] }"])
}

resource "vault_kubernetes_auth_backend_role" "controller" {
  backend                          = vault_auth_backend.kubernetes.path
  role_name                        = var.role
  bound_service_account_names      = [var.service_account]
  bound_service_account_namespaces = [var.namespace]
  audience                         = var.audience
  token_policies                   = [vault_policy.read.name]
  token_ttl                        = var.token_ttl
}
