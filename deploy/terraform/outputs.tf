# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

output "namespaces" {
  description = "The namespaces that were made."
  value       = sort(values(module.namespaces.names))
}
