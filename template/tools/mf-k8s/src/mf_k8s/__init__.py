"""The command `k8s` of a Metaflow project: everything that runs on a laptop or in CI.

Nothing in here runs in a pod. Each room is a folder, and its docstring says what it is for. A room
may import those in the lines below its own (`make lint` holds that, by pyproject.toml of the
template's repository):

    cli             registers the commands, and turns errors into exit codes
    commands        a file for each command: options, help, questions, exit codes
    adopt, gitops   `k8s adopt`; `k8s render`
    drift           `k8s drift`: what a project has of its organisation's values, too
    doctor          will every pod run on a cluster: a file for each rule
    kind            the development cluster, and tests of the flows on it
    deploy, image   `k8s deploy`; `k8s image`
    plan            what a change does to each pod
    check           every pod of a flow against k8s.toml, compiled or on a cluster
    cluster         all that talks to a Kubernetes API
    metaflow        all that touches Metaflow: compiling, a flow's facts, creating, configuration
    pods            functions on manifests, without I/O: read, expect, compare
    project         what is on disk: k8s.toml, environments/, tests/kind.toml, flows, git
    programs, show  running other programs; what is printed
    errors          what stops a command

`testing` is what a project's own tests import; `flow_files` and `flow_settings` hand on what those
of an older project import. A file of `commands` imports the rooms in the
function of its command, and a room what is slow (metaflow, kubernetes, …) in the functions that
need it, so that `k8s --help` answers at once.
"""
