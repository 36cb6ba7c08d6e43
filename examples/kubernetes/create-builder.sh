#!/bin/sh
# Makes the builder `kiln` of `docker buildx` on the cluster of the current kubeconfig; nothing starts before a build.
# Two pods that are reached by turns: builds of one environment go to the same one, so its caches count.
set -eu
docker-buildx version >/dev/null 2>&1 && buildx=docker-buildx || buildx="docker buildx"
$buildx create --name kiln --driver kubernetes \
    --driver-opt namespace=envkiln,replicas=2,loadbalance=sticky,rootless=true,timeout=120s \
    --driver-opt requests.cpu=2,requests.memory=4Gi,limits.memory=8Gi
