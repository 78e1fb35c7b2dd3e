# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "namespace" {
  description = "The namespace of the controller."
  type        = string
}

variable "username" {
  description = "The user that opens incidents."
  type        = string
}

variable "password" {
  description = "That user's password."
  type        = string
  sensitive   = true
}
