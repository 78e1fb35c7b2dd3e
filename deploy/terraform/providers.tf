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

# The token is VAULT_TOKEN or ~/.vault-token, and never a variable.
provider "vault" {
  address          = var.vault.address
  ca_cert_file     = var.vault.ca_file
  skip_child_token = var.vault.skip_child_token
}
