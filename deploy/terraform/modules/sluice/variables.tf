# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "The name of the release. With argo-rollouts the Deployment has that name too."
  type        = string
  default     = "argo-rollouts"
}

variable "namespace" {
  description = "The namespace of the release."
  type        = string
}

variable "chart" {
  description = "The folder of the chart, or the reference of its archive."
  type        = string
}

variable "values" {
  description = "Values of the chart; its schema refuses any that it does not know."
  type        = any
  default     = {}
}

variable "timeout" {
  description = "How many seconds the release may take to become ready."
  type        = number
  default     = 300
}
