"""`show` and a local `run` of flows/hello.py against the same flow on a plain FlowSpec: +5 %."""

import sys
import tempfile
from pathlib import Path

from pairs import compare, seconds

ROOT = Path(__file__).parent.parent
COPIER = Path(sys.executable).with_name("copier")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "hello-bench")
        command = [COPIER, "copy", "--quiet", "--defaults", "--vcs-ref=HEAD", ROOT, project]
        seconds(command, cwd=ROOT)
        hello = project / "flows/hello.py"
        plain = project / "flows/plain.py"
        text = hello.read_text().replace("from hello_bench import BaseFlow\n", "")
        text = text.replace("import Parameter", "import FlowSpec, Parameter")
        plain.write_text(text.replace("(BaseFlow)", "(FlowSpec)"))

        def run(flow: Path, *arguments: str) -> float:
            env = {"PYTHONPATH": str(project / "src"), "METAFLOW_USER": "benchmark"}
            env["METAFLOW_HOME"] = folder
            return seconds([sys.executable, flow, *arguments], cwd=project, **env)

        for arguments, rounds in ((["show"], 25), (["run"], 9)):
            compare(
                f"`python flows/hello.py {arguments[0]}`",
                "the same flow on a plain FlowSpec",
                lambda arguments=arguments: run(hello, *arguments),
                lambda arguments=arguments: run(plain, *arguments),
                rounds,
            )


if __name__ == "__main__":
    main()
