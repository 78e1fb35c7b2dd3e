# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

provider "kubernetes" {
  config_path = var.kubeconfig
}

provider "helm" {
  kubernetes {
    config_path = var.kubeconfig
  }
}

# The token is VAULT_TOKEN or ~/.vault-token, and never a variable. Switched off,
# the provider still wants one, of any value, and asks nobody.
provider "vault" {
  address          = var.vault.enabled ? var.vault.address : "https://127.0.0.1:8200"
  ca_cert_file     = var.vault.ca_file
  skip_child_token = !var.vault.enabled
}
