# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

kubeconfig     = "~/.kube/config"
app_namespaces = ["payments"]

vault = {
  address         = "https://vault.example.com:8200"
  kubernetes_host = "https://kubernetes.example.com:6443"
}

servicenow = { username = "sluice" }

falcon = {
  image     = "registry.example.com/falcon-sensor"
  image_tag = "7.29.0-18202-1"
}
