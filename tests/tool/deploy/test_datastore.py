"""The datastore is asked before a deploy compiles anything."""

import sys
from pathlib import Path

import pytest
from conftest import own_target
from deployed import Deploy, deploy, project
from kubernetes_api import Api
from mf_k8s.deploy.datastore import datastore_asked
from mf_k8s.errors import CommandError
from mf_k8s.project.project import Project

__all__ = ["deploy", "project"]  # fixtures

NO_CREDENTIALS = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""),
    "AWS_EC2_METADATA_DISABLED": "true",  # of a machine in AWS
    "HOME": "/nowhere",
}


def test_a_deploy_without_credentials_ends(api: type[Api], deploy: Deploy) -> None:
    """Metaflow tries for half an hour. Nothing is compiled, and it says what was looked for."""
    code, output = deploy("--env", "prod", "--dry-run", **NO_CREDENTIALS)
    assert code == 2
    assert output.splitlines()[-1] == (
        "k8s: cannot use the datastore s3://bucket/metaflow: there are no AWS"
        " credentials (credentials: none, profile default): log in, name a profile in"
        " AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
    assert not [line for line in output.splitlines() if line.startswith("compile ")]
    assert api.tried == []


def test_no_terminal_to_ask_for_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The datastore is asked while other lines are printed, and a code of MFA is good once."""
    script = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read()); sys.exit(3)"
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{script}'\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    target = own_target(
        METAFLOW_DEFAULT_DATASTORE="s3", METAFLOW_DATASTORE_SYSROOT_S3="s3://bucket"
    )
    with pytest.raises(CommandError, match="cannot use the datastore s3://bucket: True$"):
        with datastore_asked(Project(tmp_path, "churn_model"), [], target, tmp_path):
            pass
