# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0

variable "namespace" {
  description = "The namespace of the sensors. They need its pod security level to be privileged."
  type        = string
}

variable "repository" {
  description = "The Helm repository, or a mirror of it."
  type        = string
  default     = "https://crowdstrike.github.io/falcon-helm"
}

variable "chart_version" {
  description = "The version of the chart."
  type        = string
}

variable "cid" {
  description = "The customer ID with its checksum."
  type        = string
  sensitive   = true
}

variable "image" {
  description = "The sensor's image, in your registry: CrowdStrike's needs a login of its own."
  type        = string
}

variable "image_tag" {
  description = "The tag of the sensor's image."
  type        = string
}
