# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "namespaces" {
  description = "The labels of each namespace, by its name."
  type        = map(map(string))
}
