# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

locals {
  # What each namespace needs: sensors need the host, sidecars are injected.
  namespaces = merge(
    { (var.namespace) = { "pod-security.kubernetes.io/enforce" = "restricted" } },
    { for name in var.app_namespaces : name => { "istio-injection" = "enabled" } },
    var.istio.enabled ? { istio-system = {} } : {},
    var.falcon.enabled ? { falcon-system = { "pod-security.kubernetes.io/enforce" = "privileged" } } : {},
  )

  # With Vault the controller gets what it logs in with.
  vault_values = var.vault.enabled ? {
    vault = {
      address     = var.vault.address
      role        = module.vault[0].role
      authMount   = module.vault[0].auth_path
      datadogPath = var.vault.paths[0]
    }
  } : {}
}

module "namespaces" {
  source = "./modules/namespaces"

  namespaces = local.namespaces
}

module "istio" {
  source = "./modules/istio"
  count  = var.istio.enabled ? 1 : 0

  namespace     = module.namespaces.names["istio-system"]
  repository    = var.istio.repository
  chart_version = var.istio.chart_version
}

module "vault" {
  source = "./modules/vault"
  count  = var.vault.enabled ? 1 : 0

  auth_path       = var.vault.auth_path
  kubernetes_host = var.vault.kubernetes_host
  kubernetes_ca   = var.vault.kubernetes_ca
  namespace       = var.namespace
  service_account = "argo-rollouts"
  paths           = var.vault.paths
}

module "servicenow" {
  source = "./modules/servicenow"
  count  = var.servicenow.enabled ? 1 : 0

  namespace = module.namespaces.names[var.namespace]
  username  = var.servicenow.username
  password  = var.servicenow_password
}

module "sluice" {
  source = "./modules/sluice"

  namespace = module.namespaces.names[var.namespace]
  chart     = var.chart
  values = merge(var.values, {
    controller = merge({ metrics = { enabled = true } }, try(var.values.controller, {}), local.vault_values)
  })

  # Rollouts are refused as long as their VirtualService has no CRD.
  depends_on = [module.istio]
}

module "falcon" {
  source = "./modules/falcon"
  count  = var.falcon.enabled ? 1 : 0

  namespace     = module.namespaces.names["falcon-system"]
  repository    = var.falcon.repository
  chart_version = var.falcon.chart_version
  cid           = var.falcon_cid
  image         = var.falcon.image
  image_tag     = var.falcon.image_tag
}
