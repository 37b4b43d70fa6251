#!/bin/sh
# Put nnInteractive and SAM 2 into an environment of their own, .venv-third-party, on top of .venv: a minute, once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
own="$root/.venv"
venv="$root/.venv-third-party"
stamp="$venv/requirements.txt"
if cmp -s "$here/requirements.txt" "$stamp"; then
    exit 0
fi
rm -rf "$venv"
"$own/bin/python" -m venv --without-pip "$venv"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
under=$("$own/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "import site; site.addsitedir('$under')" > "$site/under.pth"
# SAM 2 would compile a CUDA extension, and does not need it. It and two others have no wheels; they are built with what
# .venv has.
SAM2_BUILD_CUDA=0 "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation \
    --requirement "$here/requirements.txt"
cp "$here/requirements.txt" "$stamp"
