"""What a change does to environments: plan says which bucket and namespace they have now."""

import json
import shutil
from pathlib import Path

from conftest import ROOT
from mf_k8s.plan.revision import moved_settings
from mf_k8s.project.project import Project


def project(folder: Path, bucket: str, own: dict[str, object]) -> Project:
    package = folder / "src/churn"
    shutil.copytree(ROOT / "template/src/{{ package_name }}", package)
    shared = {"METAFLOW_DATASTORE_SYSROOT_S3": bucket, "context": "acme"}
    organisation = {"environments": {"prod": shared}}
    (package / "organisation.json").write_text(json.dumps(organisation))
    (folder / "environments").mkdir()
    (folder / "environments/prod.json").write_text(json.dumps(own))
    return Project(folder, "churn")


def test_moved_settings(tmp_path: Path) -> None:
    older = project(tmp_path / "old", "s3://acme-metaflow", {"user": "churn"})
    newer = project(tmp_path / "new", "s3://acme-lake", {"user": "churn", "tags": ["a:b"]})
    assert [*moved_settings(newer, older)] == [
        "environment prod: METAFLOW_DATASTORE_SYSROOT_S3: s3://acme-metaflow → s3://acme-lake",
        "environment prod: options: not set → --tag=a:b",
    ]
    assert [*moved_settings(newer, newer)] == []
    (newer.root / "environments/prod.json").write_text("{")
    assert [*moved_settings(newer, older)] == []
