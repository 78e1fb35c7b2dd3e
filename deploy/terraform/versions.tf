# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

terraform {
  required_version = ">= 1.6.0"

  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 1.13.4, < 4.0.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = ">= 1.3.2, < 3.0.0"
    }
    vault = {
      source  = "hashicorp/vault"
      version = ">= 3.3.1, < 6.0.0"
    }
  }
}
