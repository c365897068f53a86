"""The command `k8s` of a Metaflow project: everything that runs on a laptop or in CI.

Nothing in here runs in a pod. Each command has a folder of its name, whose `command.py` has its
options and says what it does:

    test      runs what CI runs: linters, types and tests
    check     compares every pod of a flow with k8s.toml, compiled or on the cluster (live.py)
    plan      shows what a change does to each pod
    adopt     turns flows of a plain FlowSpec into flows of BaseFlow
    deploy    writes flows to Argo Workflows, with every pod configured
    render    writes what deploy would write as files, the same on every machine
    image     builds and pushes the image of the pods
    kind      makes a cluster on this machine, and tests every flow on it

They share the modules beside them. A shared module imports no command; of the commands, kind uses
deploy and image, render uses deploy, deploy uses plan and check, and adopt uses plan. Only check's
options know render, for `check --rendered`.

    project             where the project is, and whether this version fits it
    testing             what a project's own tests import
    config              k8s.toml, and a step's settings in it
    environments        environments/NAME.json, one place where flows run
    place               the cluster, namespace and account that a command works with
    metaflow_defaults   what that configuration gives to pods, below k8s.toml
    compile_flows       compiles flows with Metaflow itself: compile_worker is the program that does
                        it, flow_facts reads what the flows' code says, batch_facts what AWS
                        Batch would give them
    compile_remedies    what to do about a flow that does not compile
    no_upload           lets Metaflow create flows without a datastore
    flow_imports        what flows import that their pods lack
    image_content       whether the image is built of something else than its tag says
    uv_lock             where the project's uv.lock is
    run_create          runs Metaflow's create, and keeps what it would write
    complete_template   adds to a compiled WorkflowTemplate what Metaflow leaves out
    expected_pods       the pods that a flow must have
    quantities          cores and memory, in one spelling
    read_pods           the pods that a WorkflowTemplate or a cluster has
    pod_states          in which state pods are, and why they have not started
    pod_failures        why pods have failed, and what to do
    read_yaml           reads YAML, fast
    rbac                service accounts of pods, and their rights
    cluster_api         asks the Kubernetes API
    programs            runs docker, kind, kubectl and git; remedies says why one failed
    conflicts           conflicts that an update has left in files
    repository          the git repository that a project is in
    progress, tables    what is printed on the way and at the end

Imports that are slow (metaflow, kubernetes, …) stand in the functions that need them, so that
`k8s --help` answers at once.
"""
