# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

output "names" {
  description = "The names of the namespaces, once they are there."
  value       = { for name, ns in kubernetes_namespace.this : name => ns.metadata[0].name }
}
