"""The index as uv is told of it: lines without a variable, an environment without a password."""

import pytest

from model_release.processes.package_index import (
    anonymous,
    folders,
    index_options,
    options_elsewhere,
    quotable,
    uv_environment,
)


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, []),
        ({"UV_INDEX": "", "UV_DEFAULT_INDEX": "", "UV_FIND_LINKS": ""}, []),
        ({"UV_INDEX_URL": "https://a/simple"}, ["--index-url https://a/simple"]),
        (
            {"UV_INDEX_URL": "https://a/simple", "UV_DEFAULT_INDEX": "https://b/?a=b"},
            ["--index-url https://b/?a=b"],
        ),
        (
            {
                "UV_INDEX": "one=https://one/simple\nhttps://two:8/simple",
                "UV_EXTRA_INDEX_URL": "https://three /srv/index",
            },
            [
                "--extra-index-url https://one/simple",
                "--extra-index-url https://two:8/simple",
                "--extra-index-url https://three",
                "--extra-index-url /srv/index",
            ],
        ),
        (
            {"UV_FIND_LINKS": "https://a/links,/srv/my wheels"},
            ["--find-links https://a/links", "--find-links /srv/my wheels"],
        ),
        (
            {
                "UV_DEFAULT_INDEX": "my-own.one=https://old@a:8443/simple/",
                "UV_INDEX_MY_OWN_ONE_USERNAME": "ada",
                "UV_INDEX_MY_OWN_ONE_PASSWORD": "p/w@${HOME} ",
            },
            ["--index-url https://ada:p%2Fw%40%24%7BHOME%7D%20@a:8443/simple/"],
        ),
        (
            {"UV_DEFAULT_INDEX": "https://a:${B}@c/", "UV_INDEX__PASSWORD": "x"},
            ["--index-url https://a:%24{B}@c/"],
        ),
    ],
)
def test_the_index_is_said_in_lines(variables: dict[str, str], lines: list[str]) -> None:
    assert index_options(variables).splitlines() == lines


def test_no_variable_of_uv_holds_a_password_that_it_could_expand() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "UV_CACHE_DIR": "/cache",
        "UV_INDEX_STRATEGY": "first-index",
        "UV_INDEX": "https://u:secret@a",
        "UV_INDEX_A_PASSWORD": "secret",
        "HTTP_PROXY": "http://u:secret@old",
        "http_proxy": "http://u:secret@new",
        "HTTPS_PROXY": "http://u:secret@proxy",
        "GITHUB_TOKEN": "secret",
        "MY_PROXY": "secret",
    }
    assert uv_environment(given, {"PATH", "LANG"}) == {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "UV_CACHE_DIR": "/cache",
        "UV_INDEX_STRATEGY": "first-index",
        "http_proxy": "http://u:secret@new",
        "https_proxy": "http://u:secret@proxy",
    }


def test_neither_a_build_nor_a_password_is_quoted() -> None:
    said = "error: no\n  cause: http://ada:se@cret@h/simple, ftp://b@c\n\n  [stderr]\n  planted\n"
    assert quotable(said) == "error: no\n  cause: http://***@h/simple, ftp://***@c"
    assert quotable("") == ""


def test_folders_of_this_machine_are_told_apart() -> None:
    environ = {
        "UV_INDEX": "own=https://host/simple file:///srv/index",
        "UV_FIND_LINKS": "/srv/wheels,https://host/wheels",
    }
    assert folders(environ) == ["/srv/index", "/srv/wheels"]


def test_an_anonymous_text_has_no_users() -> None:
    assert anonymous("--index-url https://u:p%40@host/x http://v@other") == (
        "--index-url https://host/x http://other"
    )


def test_folders_of_this_machine_are_not_elsewhere() -> None:
    variables = {"UV_INDEX": "/srv/index https://one", "UV_FIND_LINKS": "file:///a,https://b"}
    told = options_elsewhere(variables)
    assert told.splitlines() == ["--extra-index-url https://one", "--find-links https://b"]
