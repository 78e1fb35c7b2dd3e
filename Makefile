# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Go, git and make are all that is needed; everything else is built from
# pinned Go modules.

SHELL       := /bin/sh
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
pkg     := sluice.dev/sluice/internal/version
LDFLAGS := -s -w -X $(pkg).Version=$(VERSION) -X $(pkg).Commit=$(COMMIT) -X $(pkg).Date=$(DATE)

# The same bytes wherever it is built.
GOBUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

IMAGE    ?= sluice.dev/sluice:$(VERSION)
PLATFORM ?= linux/amd64
SET      ?=

PACE    ?=
ARGS    ?=

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z.-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/sluice, and bin/kubectl-argo-rollouts as another name of it
	@echo "building bin/sluice" >&2
	@$(GOBUILD) -o bin/sluice ./cmd/sluice
	@ln -sf sluice bin/kubectl-argo-rollouts

.PHONY: image
image: ## Build the container image with docker (IMAGE=name:tag, PLATFORM=linux/arm64)
	docker build --platform $(PLATFORM) --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' --build-arg DATE='$(DATE)' -t $(IMAGE) .

install.yaml: FORCE ## Print the chart into one file, for people without Helm (SET="--set namespaced=true")
	@cd charts && $(GO) run ./cmd/install $(SET) >../install.yaml.tmp && mv ../install.yaml.tmp ../install.yaml
	@echo "install.yaml: kubectl apply --server-side -f install.yaml" >&2

.PHONY: FORCE
FORCE:

.PHONY: reproducible
reproducible: ## Build bin/sluice twice, in two folders, and compare the bytes
	@$(GO) run ./hack/reproducible

.PHONY: sbom
sbom: build ## Write bin/sluice.cdx.json, the list of what bin/sluice is made of (CycloneDX)
	@cd hack/supply && $(GO) tool cyclonedx-gomod bin -json -noserial -notimestamp -version '$(VERSION)' -output ../../bin/sluice.cdx.json ../../bin/sluice
	@echo "bin/sluice.cdx.json" >&2

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is called (asks vuln.go.dev)
	@dir="$$PWD"; cd hack/supply && $(GO) tool govulncheck -C "$$dir" ./...

.PHONY: controlplane
controlplane: ## Build etcd and Kubernetes into the cache; print the folder
	@$(GO) run ./hack/controlplane

.PHONY: peer
peer: ## Build Argo Rollouts' own controller and plugin into the cache; print the folder
	@$(GO) run ./hack/peer

.PHONY: tofu
tofu: ## Build OpenTofu and three providers into the cache; print the folders
	@$(GO) run ./hack/tofu

.PHONY: ansible
ansible: ## Install Ansible and its linter into a venv in the cache; print the folder
	@dir="$${SLUICE_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/sluice}/ansible/$$(cksum <deploy/ansible/requirements.txt | cut -d' ' -f1)"; \
	[ -x "$$dir/bin/ansible-lint" ] || { echo "installing Ansible" >&2; python3 -m venv "$$dir" && "$$dir/bin/pip" install -q -r deploy/ansible/requirements.txt; } >&2; \
	echo "$$dir/bin"

.PHONY: demo
demo: build ## Run the guide's four releases on a real API server (ARGS="--keep", "--pace real")
	@dir="$$($(GO) run ./hack/controlplane)"; \
	echo "building the demo" >&2; \
	cd playground && $(GO) build -o ../bin/sluice-demo ./cmd/demo && cd .. && \
	exec ./bin/sluice-demo --controlplane "$$dir" --sluice ./bin/sluice $(ARGS)

.PHONY: test
test: test-unit test-integration test-chart test-demo ## Run every test but the long runs

.PHONY: test-unit
test-unit: ## Run the tests that need no network and no cluster
	@echo "unit tests" >&2
	@$(GO) test ./...
	@cd playground && $(GO) test ./...
	@cd charts && $(GO) test ./...
	@cd gitops && $(GO) test ./...
	@cd deploy && $(GO) test ./...

.PHONY: helm
helm: ## Build bin/helm from the chart's module, for the tests of the documentation
	@cd charts && $(GO) build -o ../bin/helm helm.sh/helm/v3/cmd/helm

.PHONY: test-integration
test-integration: build helm ## Run the tests that need a control plane
	@dir="$$($(GO) run ./hack/controlplane)"; \
	echo "integration tests on $$dir" >&2; \
	KUBEBUILDER_ASSETS="$$dir" SLUICE_BIN="$$PWD/bin/sluice" $(GO) test -tags integration -timeout 20m -p 1 ./internal/itest/...

.PHONY: test-chart
test-chart: build ## Install, upgrade, roll back and uninstall the chart with Helm on a control plane
	@dir="$$($(GO) run ./hack/controlplane)"; \
	echo "the chart on $$dir" >&2; \
	cd charts && KUBEBUILDER_ASSETS="$$dir" SLUICE_BIN="$$PWD/../bin/sluice" $(GO) test -tags integration -timeout 15m -count 1 ./itest

.PHONY: test-gitops
test-gitops: build ## Judge releases by Argo CD's own health scripts, and take its actions
	@dir="$$($(GO) run ./hack/controlplane)"; \
	echo "Argo CD's scripts on $$dir" >&2; \
	cd gitops && KUBEBUILDER_ASSETS="$$dir" SLUICE_BIN="$$PWD/../bin/sluice" $(GO) test -tags integration -timeout 15m -count 1 ./itest

.PHONY: test-vault
test-vault: ## Run the tests of the Vault client against a real one (VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT)
	@[ -n "$${VAULT_ADDR:-}" ] || echo "VAULT_ADDR is not set; docs/keys.md says how to start a Vault. Skipping." >&2
	@SLUICE_TEST_VAULT=1 $(GO) test -count 1 -v -run 'TestRealVault' ./internal/vault

.PHONY: test-demo
test-demo: build ## Run the demo as an end-to-end test
	@dir="$$($(GO) run ./hack/controlplane)"; \
	echo "the demo as a test" >&2; \
	cd playground && KUBEBUILDER_ASSETS="$$dir" SLUICE_BIN="$$PWD/../bin/sluice" $(GO) test -tags e2e -timeout 15m -count 1 ./demo/...

.PHONY: test-full
test-full: test helm ## Run the long runs too: random kills, deep fuzzing and the heavy peers
	@echo "the modules of the peers are tidy" >&2
	@cd playground/peer && $(GO) mod tidy -diff
	@cd playground/argocd && $(GO) mod tidy -diff
	@dir="$$($(GO) run ./hack/controlplane)"; peer="$$($(GO) run ./hack/peer)"; \
	echo "long runs on $$dir, beside $$peer" >&2; \
	KUBEBUILDER_ASSETS="$$dir" PEER_BIN="$$peer" SLUICE_BIN="$$PWD/bin/sluice" $(GO) test -tags 'integration long' -timeout 60m -p 1 -count 1 ./internal/itest/...
	@$(MAKE) test-gitops test-argocd test-rights

.PHONY: test-deploy
test-deploy: ## Apply deploy/terraform on a control plane, and run deploy/ansible on a folder
	@echo "the modules of OpenTofu and its providers are tidy" >&2
	@for dir in playground/tofu/*; do (cd "$$dir" && $(GO) mod tidy -diff) || exit 1; done
	@dir="$$($(GO) run ./hack/controlplane)"; tofu="$$($(GO) run ./hack/tofu)"; ansible="$$($(MAKE) ansible)"; \
	echo "deploy on $$dir" >&2; \
	cd deploy && KUBEBUILDER_ASSETS="$$dir" TOFU_BIN="$$tofu" ANSIBLE_BIN="$$ansible" $(GO) test -tags 'integration long' -timeout 30m -count 1 ./...

.PHONY: test-argocd
test-argocd: build ## Release from a Git repository by way of Argo CD's own programs, which are built from its module
	@dir="$$($(GO) run ./hack/controlplane)"; argocd="$$($(GO) run ./hack/argocd)"; \
	echo "Argo CD in $$argocd on $$dir" >&2; \
	cd gitops && KUBEBUILDER_ASSETS="$$dir" ARGOCD_BIN="$$argocd" SLUICE_BIN="$$PWD/../bin/sluice" $(GO) test -tags 'integration long' -timeout 30m -count 1 -run TestReleasesFromGit ./itest

.PHONY: test-rights
test-rights: build ## Compare the rights that the chart grants with those that releases use (ARGS=-update writes docs/security.md)
	@dir="$$($(GO) run ./hack/controlplane)"; \
	cd charts && KUBEBUILDER_ASSETS="$$dir" SLUICE_BIN="$$PWD/../bin/sluice" $(GO) test -tags 'integration long' -timeout 15m -count 1 -run 'TestTheRights|TestWhatMayNot' ./itest $(ARGS)

.PHONY: bench
bench: build ## Measure aborts, many canaries at once and idling (PEER=/path/to/other/controller, or the folder of make peer)
	@dir="$$($(GO) run ./hack/controlplane)"; \
	cd playground && $(GO) build -o ../bin/sluice-bench ./cmd/bench && cd .. && \
	exec ./bin/sluice-bench --controlplane "$$dir" --sluice ./bin/sluice --peer "$${PEER:-}" $(ARGS)

.PHONY: generate
generate: ## Regenerate everything that is generated
	@echo "generating" >&2
	@$(GO) generate ./...

.PHONY: lint
lint: ## Run the linters
	@echo "building and running golangci-lint (some minutes the first time)" >&2
	@$(GO) tool -modfile=hack/tools/go.mod golangci-lint run ./...
	@cd playground && $(GO) tool -modfile=../hack/tools/go.mod golangci-lint run --config ../.golangci.yml ./...
	@cd charts && $(GO) tool -modfile=../hack/tools/go.mod golangci-lint run --config ../.golangci.yml ./...
	@cd gitops && $(GO) tool -modfile=../hack/tools/go.mod golangci-lint run --config ../.golangci.yml ./...
	@cd deploy && $(GO) tool -modfile=../hack/tools/go.mod golangci-lint run --config ../.golangci.yml ./...

.PHONY: verify
verify: ## Check that generated files and module files are up to date
	@$(GO) run ./hack/verify
