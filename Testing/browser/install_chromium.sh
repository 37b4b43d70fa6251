#!/usr/bin/env bash
# Installs the headless browser of these tests (Debian, Ubuntu with the chromium package; needs root).
set -euo pipefail
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium
