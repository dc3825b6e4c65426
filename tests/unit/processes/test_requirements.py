"""What a model requires: understood and written anew, or refused with the line and the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_release.processes.requirements import (
    MOST_CHARACTERS,
    WRITTEN,
    LockError,
    Requirements,
    understand,
)

HASH, OTHER = "a" * 64, "b" * 64
HOSTS = ("files.example.org", "files.example.org:8443")
WHEEL = "https://files.example.org/v1/six-1.17.0-py2.py3-none-any.whl"
BOUND = f"{WHEEL}#sha256={HASH}"


def read(text: str, hosts: tuple[str, ...] = (), **files: str) -> Requirements:
    others = {
        f"{name}.{'yaml' if name == 'conda' else 'txt'}": said for name, said in files.items()
    }
    return understand({"requirements.txt": text, **others}, hosts)


def refusal(text: str, hosts: tuple[str, ...] = (), **files: str) -> LockError:
    with pytest.raises(LockError) as caught:
        read(text, hosts, **files)
    return caught.value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("mlflow==3.17.2\nnumpy==2.4.6", "mlflow==3.17.2\nnumpy==2.4.6"),
        ("six\n\n   idna  \n", "six\nidna"),
        ("# compiled from file: reqs.in\nsix==1.17.0  # why\n", "six==1.17.0"),
        ("Foo_Bar.baz==1", "Foo_Bar.baz==1"),
        ("uvicorn[standard,a] >= 0.3 , < 1", "uvicorn[a,standard]<1,>=0.3"),
        ("torch==2.3.0+cu121", "torch==2.3.0+cu121"),
        ("six (==1.17)", "six==1.17"),
        ('pywin32==306;sys_platform=="win32"', 'pywin32==306; sys_platform == "win32"'),
        ("six \\\n  ==1.17 \\\n  # no end \\\nidna", "six==1.17\nidna"),
        ("six\\", "six"),
        ("\ufeffsix\r\nidna\r\n", "six\nidna"),
        (f"six==1 --hash=sha256:{HASH} \\\n --hash sha512:{HASH}{HASH}", "six==1"),
        ("", ""),
    ],
)
def test_what_is_understood_is_written_anew(text: str, written: str) -> None:
    found = read(text).to_resolve
    assert found["requirements.txt"].split() == written.split()
    assert found["requirements.txt"].count("\n") == len(written.splitlines())
    assert found["constraints.txt"] == ""


def test_what_mlflow_writes_keeps_its_lock() -> None:
    """A lock is kept by these texts: another spelling of them would resolve everything anew."""
    text, constraints = "mlflow==3.17.2\nnumpy==2.4.6\n-c constraints.txt", "six<2\nidna==3"
    assert read(text, constraints=constraints).texts == [text, constraints]
    assert read("six==1").texts == ["six==1"]


@pytest.mark.parametrize(
    ("line", "why", "then"),
    [
        ("--extra-index-url https://u:pw@h/simple", "an option", "set UV_INDEX where the pipeline"),
        ("-r other.txt", "an option", "log the model again without this line"),
        ("-c ../constraints.txt", "an option", "log the model again without this line"),
        ("-e .", "a folder of somebody's machine", "publish it as a wheel"),
        ("six @ git+https://github.com/benjaminp/six@1.16.0", "a repository", "publish it as a"),
        ("git+ssh://git@github.com/benjaminp/six", "a repository", "publish it as a wheel"),
        ("git@github.com:benjaminp/six.git", "a repository", "publish it as a wheel"),
        ("code/tinyscale-0.1-py3-none-any.whl", "a path", "code_paths="),
        ("tinyscale-0.1-py3-none-any.whl", "a path", "code_paths="),
        ("tinyscale-0.1.tar.gz ; python_version > '3'", "a path", "code_paths="),
        ("./mine", "a path", "code_paths="),
        ("~/.netrc", "a path", "code_paths="),
        ("C:\\mine", "a path", "code_paths="),
        ("mine @ file:///tmp/mine.whl", "a path", "code_paths="),
        ("mine @ FILE:///tmp/mine.whl", "a path", "code_paths="),
        ("mine @ ../mine.whl", "a URL other than https://host/", "publish it as a wheel"),
        ("six==${VERSION}", "a variable: none is ever expanded", "without this line"),
        ("six @ https://h/$TOKEN/six.whl", "a variable", "without this line"),
        ("six; os_name == '${TOKEN}'", "a variable", "without this line"),
        ("https://files.example.org/six.whl", "a URL without the name", "publish it as a wheel"),
        (BOUND, "a URL without the name", "publish it as a wheel"),
        (f"six @ {BOUND}", "a URL of files.example.org, which is not allowed", "allow_hosts"),
        ("six @ http://files.example.org/six.whl", "a URL other than https://", "publish it"),
        ("six six", "it is no `name==version`", "without this line"),
        ("six==1 --no-deps", "it is no `name==version`", "without this line"),
        (f"six==1 --hash=md5:{HASH}", "it is no `name==version`", "without this line"),
        ("{six}", "it is no `name==version`", "without this line"),
        ("six; os_name == 'a:b'", "it holds a character", "without this line"),
        ("six===1ſ", "it holds a character", "without this line"),
        (f"six; {'(' * 1500}os_name == 'a'{')' * 1500}", "it is no `name==version`", "without"),
    ],
)
@pytest.mark.parametrize("place", ["requirements", "constraints", "conda"])
def test_what_is_not_is_refused_with_its_reason(line: str, why: str, then: str, place: str) -> None:
    if place == "requirements":
        error = refusal(f"six\n{line}\n")
    elif place == "constraints":
        error = refusal("six\n-c constraints.txt", constraints=line)
    else:
        quoted = line.replace("'", "''")
        conda = f"dependencies:\n- pip\n- pip:\n  - six\n  - '{quoted}'\n"
        error = refusal("six", conda=conda)
    assert error.what.startswith(f"{place}.")
    assert error.expected == "packages from the index"
    assert f": {why}" in error.found
    assert then in error.next_step
    assert len(error.found) < 400
    assert "u:pw" not in str(error)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (f"six @ {BOUND}", f"six @ {WHEEL}"),
        (f"Six@{BOUND}", f"six @ {WHEEL}"),
        (f"six @ {WHEEL} --hash=sha256:{HASH}", f"six @ {WHEEL}"),
        (f"six @ {BOUND} --hash=sha256:{HASH}", f"six @ {WHEEL}"),
        (
            f"six @ {BOUND} ; sys_platform == 'linux'",
            f'six @ {WHEEL} ; sys_platform == "linux"',
        ),
        (
            f"six @ https://files.example.org:8443/six-1.0%2Bcpu-py3-none-any.whl#sha256={HASH}",
            "six @ https://files.example.org:8443/six-1.0%2Bcpu-py3-none-any.whl",
        ),
    ],
)
def test_a_wheel_of_an_allowed_host_is_bound_by_its_hash(line: str, written: str) -> None:
    """It is no business of the resolver, which would follow whatever the wheel says it requires."""
    found = read(f"idna==3\n{line}", HOSTS)
    assert found.to_resolve["requirements.txt"] == "idna==3\n"
    block = f"{written} \\\n    --hash=sha256:{HASH}\n"
    assert found.finish("idna==3 \\\n    --hash=sha256:cc\n").endswith(f"cc\n{block}")
    assert written in found.texts[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"six @ {WHEEL}", "a URL without the SHA-256"),
        (f"six @ {WHEEL}#sha256={HASH[1:]}", "a URL without the SHA-256"),
        (f"six @ {WHEEL}#egg=six", "a URL without the SHA-256"),
        (f"six @ {BOUND} --hash=sha256:{OTHER}", "a URL without the SHA-256"),
        (f"idna @ {BOUND}", "a URL of another package's wheel"),
        (f"six @ https://files.example.org/six.whl#sha256={HASH}", "a URL of another package's"),
        ("six @ https://files.example.org/six-1.0.tar.gz", "a URL other than"),
        (f"six @ {WHEEL}?token=1#sha256={HASH}", "a URL other than"),
        (f"six @ {BOUND} ; os_name == 'a/b'", "its marker is not understood"),
        *(
            (f"six @ https://{place}/six-1.0-py3-none-any.whl#sha256={HASH}", "a URL o")
            for place in (
                *(
                    "evil.org",
                    "files.example.org.evil.org",
                    "files.example.org:443",
                    "xfiles.example.org",
                ),
                *(
                    "files.example.org@evil.org",
                    "u:p@files.example.org",
                    "evil.org/files.example.org",
                ),
                *(
                    "FILES.example.org",
                    "files.example.org\\@evil.org",
                    "files.example.org..",
                    "%66",
                ),
                *(
                    "[files.example.org]",
                    "evil.org#files.example.org",
                    "evil.org?files.example.org",
                ),
            )
        ),
    ],
)
def test_what_only_looks_like_an_allowed_host_is_refused(line: str, why: str) -> None:
    assert f": {why}" in refusal(line, HOSTS).found


def test_constraints_name_no_url() -> None:
    error = refusal("six\n-c constraints.txt", HOSTS, constraints=f"six @ {BOUND}")
    assert "a URL of files.example.org" in error.found


def test_a_wheel_that_the_index_brings_as_well_is_refused() -> None:
    with pytest.raises(LockError, match="another one requires it"):
        read(f"six @ {BOUND}", HOSTS).finish("six==1.17.0 \\\n    --hash=sha256:cc\n")


def test_a_lock_holds_no_file_that_the_models_hashes_exclude() -> None:
    lock = "".join(
        f"{name}==1 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{OTHER}\n"
        for name in ("idna", "six", "six-more")
    )
    pinned = read(f"Six==1 --hash=sha256:{OTHER} --hash=sha256:{'c' * 64}\nidna")
    expected = lock.replace(
        f"six==1 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{OTHER}\n",
        f"six==1 \\\n    --hash=sha256:{OTHER}\n",
    )
    assert pinned.finish(lock) == expected
    assert read("six\nidna").finish(lock) == lock
    with pytest.raises(LockError, match="the index has no file with this hash"):
        read(f"six --hash=sha256:{'c' * 64}").finish(lock)
    constrained = read("six\n-c constraints.txt", constraints=f"six==1 --hash=sha256:{OTHER}")
    assert constrained.finish(lock) == expected


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("mlflow==3.1\nnumpy==2\npandas>=2", "mlflow-skinny==3.1"),
        ("mlflow==3.1 ; os_name=='a'\nNumPy\npandas", 'mlflow-skinny==3.1; os_name == "a"'),
        ("mlflow==3.1\nnumpy-financial\npandas", "mlflow==3.1"),
        ("mlflow==3.1\npandas", "mlflow==3.1"),
        ("mlflow>3\nnumpy\npandas", "mlflow>3"),
        ("mlflow[gateway]==3.1\nnumpy\npandas", "mlflow[gateway]==3.1"),
        (f"mlflow==3.1 --hash=sha256:{HASH}\nnumpy\npandas", "mlflow==3.1"),
        ("mlflow-skinny==3.1\nnumpy\npandas", "mlflow-skinny==3.1"),
    ],
)
def test_skinny_takes_the_place_of_a_pinned_mlflow(text: str, first: str) -> None:
    slim = read(text).with_skinny()
    assert slim.to_resolve["requirements.txt"].splitlines()[0] == first
    assert slim.with_skinny() == slim


def test_constraints_that_are_named_are_read() -> None:
    found = read("six\n--constraint=constraints.txt", constraints="six<2 # why")
    assert found.to_resolve == {
        "requirements.txt": "six\n-c constraints.txt\n",
        "constraints.txt": "six<2\n",
    }
    assert read("six", constraints="-r /etc/passwd").constraints is None
    assert "the model has no such file" in refusal("-c constraints.txt").found


@pytest.mark.parametrize(
    "conda", ["", "name: x", "dependencies: [python=3.11, pip]", "[]", "dependencies: [{pip: six}]"]
)
def test_any_conda_environment_without_a_refused_package_is_none_of_its_business(
    conda: str,
) -> None:
    assert read("six", conda=conda) == read("six")


@pytest.mark.parametrize(
    "conda",
    ["{", "[" * 5000, "dependencies: [pip: [[six]]]", "dependencies: [pip: {a: b}]", "a: !!x\n\tb"],
)
def test_a_conda_environment_that_mlflow_does_not_write_is_refused(conda: str) -> None:
    assert "conda.yaml" in str(refusal("six", conda=conda))


def test_nested_aliases_and_merges_cost_nothing() -> None:
    lists = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(30))
    maps = "".join(f"m{n + 1}: &m{n + 1}\n  <<: [{', '.join([f'*m{n}'] * 9)}]\n" for n in range(30))
    text = f"a0: &a0 [x]\n{lists}m0: &m0 {{x: y}}\n{maps}dependencies: [pip: *a30]\n"
    assert "conda.yaml" in str(refusal("six", conda=text))


def test_more_than_anybody_requires_is_refused_unread() -> None:
    assert "at most" in str(refusal("a\n" * (MOST_CHARACTERS // 2 + 1)))
    assert "at most" in str(refusal(f"six{',>1' * MOST_CHARACTERS}"))
    hashes = f" --hash=sha256:{HASH}" * 2000
    assert len(read(f"six==1{hashes}").lines[0].hashes) == 2000


def test_a_local_version_is_named_where_it_cannot_be_resolved() -> None:
    advice = "mend requirements.txt and log the model again, or see whether the index answers"
    assert read("torch==2.3.0").advice == advice
    assert read("torch==2.3.0+cu121").advice == (
        f"{advice}; torch==2.3.0+cu121 is in an index of its own, never in PyPI: have UV_INDEX "
        "name it where the pipeline runs, or log the model with torch==2.3.0"
    )


@given(
    st.text(
        st.sampled_from("six@:/\\$#{}-rc.~[]<>=!;,'\"() \n\r\t\x0b\x0c\u2028\ufeff\u017fgithtps0"),
        max_size=40,
    ),
    st.sampled_from(["", "six @ ", "-", f"six @ {BOUND}", "six==1 ", "six; os_name == '"]),
)
def test_whatever_is_written_can_only_be_a_package(text: str, begin: str) -> None:
    try:
        found = read(begin + text, HOSTS)
    except LockError:
        return
    for line in found.to_resolve["requirements.txt"].splitlines():
        assert WRITTEN.fullmatch(line)
        assert line[0].isalnum()
    assert all(
        line.text.startswith(f"{line.name} @ https://") for line in found.lines if line.direct
    )
