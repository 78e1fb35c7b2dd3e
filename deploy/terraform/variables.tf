# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "kubeconfig" {
  description = "The kubeconfig of the cluster's administrator."
  type        = string
}

variable "namespace" {
  description = "The namespace of the controller."
  type        = string
  default     = "argo-rollouts"
}

variable "app_namespaces" {
  description = "The namespaces with Rollouts, whose pods get Istio's sidecar."
  type        = set(string)
  default     = ["payments"]
}

variable "chart" {
  description = "The chart: its folder in a checkout, or the reference of an archive in your registry."
  type        = string
  default     = "../../charts/sluice"
}

variable "values" {
  description = "Values of the chart beyond those that this configuration sets."
  type        = any
  default     = {}
}

variable "istio" {
  description = "Istio, from its own charts. Switch it off if it is there already."
  type = object({
    enabled       = optional(bool, true)
    repository    = optional(string, "https://istio-release.storage.googleapis.com/charts")
    chart_version = optional(string, "1.27.3")
  })
  default = {}
}

variable "vault" {
  description = "The auth backend, policy and role that the controller reads its keys with. Without it the keys are in the Secret datadog."
  type = object({
    enabled         = optional(bool, true)
    address         = optional(string, "")
    ca_file         = optional(string)
    auth_path       = optional(string, "kubernetes")
    kubernetes_host = optional(string, "https://kubernetes.default.svc")
    kubernetes_ca   = optional(string)
    paths           = optional(list(string), ["secret/data/argo-rollouts/datadog"])
  })
  default = {}

  validation {
    condition     = !var.vault.enabled || can(regex("^https://", var.vault.address))
    error_message = "vault.address must begin with https:// as long as vault.enabled is true; set vault = { enabled = false } to keep the keys in a Secret."
  }
}

variable "servicenow" {
  description = "The user that opens incidents in ServiceNow. The password is servicenow_password."
  type = object({
    enabled  = optional(bool, true)
    username = optional(string, "")
  })
  default = {}

  validation {
    condition     = !var.servicenow.enabled || var.servicenow.username != ""
    error_message = "servicenow.username is empty; name the user, or set servicenow = { enabled = false }."
  }
}

variable "servicenow_password" {
  description = "The password of servicenow.username. Set it as TF_VAR_servicenow_password, not in a file."
  type        = string
  default     = ""
  sensitive   = true
}

variable "falcon" {
  description = "CrowdStrike's sensor on the worker nodes. The customer ID is falcon_cid."
  type = object({
    enabled       = optional(bool, true)
    repository    = optional(string, "https://crowdstrike.github.io/falcon-helm")
    chart_version = optional(string, "1.33.2")
    image         = optional(string, "")
    image_tag     = optional(string, "")
  })
  default = {}

  validation {
    condition     = !var.falcon.enabled || var.falcon.image != "" && var.falcon.image_tag != ""
    error_message = "falcon.image and falcon.image_tag must name the sensor's image in your registry; set falcon = { enabled = false } to do without."
  }
}

variable "falcon_cid" {
  description = "The customer ID with its checksum. Set it as TF_VAR_falcon_cid, not in a file."
  type        = string
  default     = ""
  sensitive   = true
}
