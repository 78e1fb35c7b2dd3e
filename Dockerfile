# Copyright The Sluice Authors.
# SPDX-License-Identifier: Apache-2.0
#
# `make image` builds it. The binary is the one of `make build`: the same
# flags give the same bytes.
ARG GO_VERSION=1.26
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION COMMIT DATE
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION" COMMIT="$COMMIT" DATE="$DATE"

# No shell, no package manager; certificates and a user who is not root.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/bin/sluice /sluice
USER 65532:65532
ENTRYPOINT ["/sluice"]
