# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "namespace" {
  description = "The namespace of istiod."
  type        = string
}

variable "repository" {
  description = "The Helm repository, or a mirror of it."
  type        = string
  default     = "https://istio-release.storage.googleapis.com/charts"
}

variable "chart_version" {
  description = "The version of both charts. They are released together, and a mix is not supported."
  type        = string
}

variable "values" {
  description = "Values of the chart istiod."
  type        = any
  default     = {}
}
