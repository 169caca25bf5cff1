"""The small ones of the bundled models, which explain in a second."""

from pathlib import Path

from worker.models.registry import BUNDLED


def small_models(folder: Path) -> Path:
    """A file of models like the bundled one, without `imagenet`: cifar10 is its default."""
    tables = BUNDLED.read_text().split("\n\n")[1:]
    small = [table for table in tables if not table.startswith("[models.imagenet]")]
    path = folder / "small_models.toml"
    path.write_text("\n\n".join(small).replace('file = "', f'file = "{BUNDLED.parent}/'))
    return path
