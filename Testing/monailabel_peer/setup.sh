#!/usr/bin/env bash
# Makes the environment with the real MONAI Label that servers and modules are tested against and compared with:
#   Testing/monailabel_peer/setup.sh PYTHON FOLDER
# PYTHON has uv (requirements-dev.in); FOLDER becomes a virtual environment. Does nothing when it is there already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$1
folder=$2
stamp="$folder/.peer-$(sha256sum "$here/requirements.txt" "$here/setup.sh" | sha256sum | cut -c1-16)"
[ ! -e "$stamp" ] || exit 0

rm -rf "$folder"
"$python" -m venv "$folder"
"$python" -m uv pip install --quiet --no-deps --python "$folder/bin/python" -r "$here/requirements.txt"
# A CPU build comes from the same index as ours (server/requirements-torch.txt); pip finds it where uv does not.
"$folder/bin/python" -m pip install --quiet --no-deps -r "$here/../../server/requirements-torch.txt"
# MONAI imports two functions of torchvision, whose wheel for Linux is a CUDA build that does not load beside this torch.
package=$("$folder/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")/torchvision
mkdir -p "$package"
: >"$package/__init__.py"
cat >"$package/utils.py" <<'END'
def make_grid(*arguments, **options):
    raise NotImplementedError


def save_image(*arguments, **options):
    raise NotImplementedError
END
touch "$stamp"
