"""The package index as uv is told of it: on standard input, never by a variable (pure).

uv expands `${NAME}` in URLs, also in those of a package's own metadata, and quotes them when it
complains. So no variable of its environment may hold a password.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
PROXIES |= {name.lower() for name in PROXIES}
KEPT_BY_UV = {
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HOME", "XDG_CACHE_HOME", "UV_CACHE_DIR", "UV_OFFLINE", "UV_HTTP_TIMEOUT", "UV_LINK_MODE"),
    *("UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_INSECURE_HOST", "UV_PYTHON_INSTALL_DIR"),
    "UV_INDEX_STRATEGY",
}
"""What uv gets beside what every process gets: where its cache is, and how to reach an index."""

OF_A_BUILD = re.compile(r"^\s*\[(stdout|stderr)\]", re.MULTILINE)
"""Where uv begins to quote what the code of a package wrote, which may be any file's content."""

USER_OF_URL = re.compile(r"(?<=://)[^/\s]+@")


def uv_environment(environ: Mapping[str, str], kept: set[str]) -> dict[str, str]:
    """The variables that uv gets.

    Those of a proxy, which may hold a password, get small letters: uv expands capitals only.
    """
    proxies = {name.lower(): environ[name] for name in sorted(PROXIES & environ.keys())}
    named = (kept | KEPT_BY_UV) - PROXIES
    return {name: environ[name] for name in named if name in environ} | proxies


def index_options(environ: Mapping[str, str]) -> str:
    """What `UV_INDEX`, `UV_DEFAULT_INDEX`, … say, as first lines of a requirements file."""
    lines = [f"--extra-index-url {url}" for url in _extra(environ)]
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if default:
        lines.append(f"--index-url {_url(default, environ)}")
    places = environ.get("UV_FIND_LINKS", "").split(",")
    lines += [f"--find-links {_url(each.strip(), environ)}" for each in places if each.strip()]
    return "".join(f"{line}\n" for line in lines)


def options_elsewhere(environ: Mapping[str, str]) -> str:
    """Those of `index_options` that name no folder of this machine, hence hold in an image too."""
    lines = index_options(environ).splitlines(keepends=True)
    return "".join(line for line in lines if not _is_folder(line.partition(" ")[2]))


def folders(environ: Mapping[str, str]) -> list[str]:
    """The folders of this machine among what `index_options` names."""
    places = (line.partition(" ")[2] for line in index_options(environ).splitlines())
    return [place.removeprefix("file://") for place in places if _is_folder(place)]


def _is_folder(place: str) -> bool:
    return place.startswith("file://") or "://" not in place


def quotable(stderr: str) -> str:
    """What may be repeated of uv's complaint: nothing that a package's build wrote, no password."""
    own = OF_A_BUILD.split(stderr, maxsplit=1)[0]
    return USER_OF_URL.sub("***@", own).strip()


def anonymous(text: str) -> str:
    """The text without the users and passwords of its URLs."""
    return USER_OF_URL.sub("", text)


def _extra(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for each in environ.get(variable, "").split():
            yield _url(each, environ)


def _url(said: str, environ: Mapping[str, str]) -> str:
    """The URL of `url` or `name=url`, with the user and password that `UV_INDEX_<NAME>_…` say."""
    name, equals, url = said.partition("=")
    if not equals or ":" in name or "/" in name:
        name, url = "", said
    url = url.replace("$", "%24")
    prefix = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
    user, password = (environ.get(f"{prefix}_{what}", "") for what in ("USERNAME", "PASSWORD"))
    scheme, separator, rest = url.partition("://")
    if not (name and separator and (user or password)):
        return url
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}{slash}{path}"
