# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

terraform {
  required_version = ">= 1.6.0"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 3.3.1, < 6.0.0"
    }
  }
}
