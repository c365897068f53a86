"""A folder of rendered files: what it holds, and what is wrong with it."""

from pathlib import Path

import pytest
from conftest import contents
from mf_k8s.errors import CommandError
from mf_k8s.gitops.folder import faults, read_folder, write_folder
from mf_k8s.gitops.manifests import with_header

FRESH = {"a.yaml": with_header("image: a:2\n"), "kustomization.yaml": with_header("# k8s\n")}


def test_faults() -> None:
    old = FRESH | {"a.yaml": with_header("image: a:1\n"), "b.yaml": with_header("gone: 1\n")}
    assert faults(FRESH, FRESH) == {}
    edited = {"a.yaml": FRESH["a.yaml"].replace("image: a:2", "value: sesame")}
    assert faults(FRESH | edited, FRESH)["a.yaml"] == "was edited: line 2 has another value"
    assert faults(old, FRESH) == {
        "a.yaml": "is of other code: line 2 has `image: a:1`, not `image: a:2`",
        "b.yaml": "is left over: this rendering has no such file any more",
    }


def test_a_folder_holds_what_is_rendered_and_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "deploy/prod"
    gone = with_header("gone: 1\n")
    assert write_folder(folder, FRESH | {"b.yaml": gone}) == []
    (folder / ".gitattributes").write_text("* text\n")
    assert write_folder(folder, FRESH) == ["b.yaml"]
    assert contents(folder).keys() == {*FRESH, ".gitattributes"}
    (folder / "overlay").mkdir()
    with pytest.raises(CommandError, match="did not write: overlay; move them"):
        write_folder(folder, {})
    assert (folder / "a.yaml").exists()
    (folder / "overlay").rmdir()
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as git's autocrlf does
    assert faults(read_folder(folder), FRESH) == {}
