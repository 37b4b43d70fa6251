#!/bin/sh
# Make requirements.lock and ../requirements-dev.lock anew (needs uv). PyTorch and its CUDA parts are left out: see install.py.
set -eu
cd "$(dirname "$0")"
leave_out=$(uv pip compile pyproject.toml -c requirements-torch.txt --universal --python-version 3.10 --no-annotate --no-header --quiet |
    sed -n 's/^\(torch\|triton\|nvidia-[a-z0-9-]*\|cuda-[a-z-]*\)==.*/--no-emit-package \1/p' | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086
uv pip compile pyproject.toml -c requirements-torch.txt --universal --python-version 3.10 --generate-hashes $leave_out --no-emit-package triton \
    --custom-compile-command "server/lock.sh" --quiet -o requirements.lock
# shellcheck disable=SC2086
uv pip compile ../requirements-dev.in -c requirements.lock -c requirements-torch.txt --universal --python-version 3.11 --generate-hashes \
    $leave_out --no-emit-package triton --custom-compile-command "server/lock.sh" --quiet -o ../requirements-dev.lock
