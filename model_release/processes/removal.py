"""Folders removed, whatever a model or a package has left in them."""

import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder, if it is there, as far as that is possible.

    By the system's `rm`: `shutil.rmtree` gives up with RecursionError a thousand folders deep.
    """
    subprocess.run(
        ["rm", "-rf", "--", str(folder.absolute())], stderr=subprocess.DEVNULL, check=False
    )
