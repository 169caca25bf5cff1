"""The small bundled models, which explain in a second."""

from pathlib import Path

from worker.models.registry import BUNDLED


def small_models(folder: Path, *, swapped: bool = False) -> Path:
    """Write a models file like the bundled one without `imagenet`; its default is cifar10.

    swapped: adds cifar10_bgr, which sees red and blue swapped.
    """
    tables = BUNDLED.read_text().split("\n\n")[1:]
    small = [table for table in tables if not table.startswith("[models.imagenet]")]
    if swapped:
        [cifar10] = [table for table in small if table.startswith("[models.cifar10]")]
        cifar10 = cifar10.replace("[models.cifar10]", "[models.cifar10_bgr]")
        small.append(cifar10.replace('"none"', '{ channels = "bgr" }'))
    path = folder / "small_models.toml"
    path.write_text("\n\n".join(small).replace('file = "', f'file = "{BUNDLED.parent}/'))
    return path
