// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package deploy holds what prepares a cluster and its nodes for Sluice, as
// OpenTofu modules and an Ansible role, and the tests of both.
package deploy
