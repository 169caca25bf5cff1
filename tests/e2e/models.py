"""The small bundled models, which explain in a second."""

from pathlib import Path

from worker.models.registry import BUNDLED


def small_models(folder: Path) -> Path:
    """Write a models file like the bundled one without `imagenet`; its default is cifar10."""
    tables = BUNDLED.read_text().split("\n\n")[1:]
    small = [table for table in tables if not table.startswith("[models.imagenet]")]
    path = folder / "small_models.toml"
    path.write_text("\n\n".join(small).replace('file = "', f'file = "{BUNDLED.parent}/'))
    return path
