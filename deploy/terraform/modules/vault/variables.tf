# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "auth_path" {
  description = "Where the Kubernetes auth backend is mounted."
  type        = string
  default     = "kubernetes"
}

variable "kubernetes_host" {
  description = "The address of the API server, as Vault reaches it."
  type        = string
}

variable "kubernetes_ca" {
  description = "The certificate that vouches for the API server, in PEM. null for one of a public authority."
  type        = string
  default     = null
}

variable "role" {
  description = "The name of the role, and of its policy."
  type        = string
  default     = "sluice"
}

variable "namespace" {
  description = "The namespace of the controller's ServiceAccount."
  type        = string
}

variable "service_account" {
  description = "The controller's ServiceAccount."
  type        = string
}

variable "audience" {
  description = "The audience of the token that the controller shows."
  type        = string
  default     = "vault"
}

variable "paths" {
  description = "What the controller may read: paths of a key-value store, version 2, with data/ in them."
  type        = list(string)
  default     = ["secret/data/argo-rollouts/datadog"]
}

variable "token_ttl" {
  description = "How many seconds a token of Vault lives. The controller logs in again before that."
  type        = number
  default     = 1200
}
