"""What only a run shows: the codes of `--run` that are no rule's, and what each means."""

RUN_CODES = {
    "argo-parallelism": "Argo's ConfigMap limits how many workflows run at once (parallelism,"
    " namespaceParallelism). The workflow starts when others end.",
    "command-missing": "The image has no program of that name. Metaflow starts `bash`, and in it"
    " the Python of the image; a slim or distroless image may lack them.",
    "config-map-exists": "A container takes a variable from a ConfigMap that is missing, so the"
    " kubelet does not make it, and tries again until it is there.",
    "container-create": "The kubelet cannot make the container; the message is that of the"
    " container runtime.",
    "crash-loop": "A container ends again and again, and the kubelet waits longer each time. Its"
    " log of the last time says why.",
    "deadline": "The pod was at work for longer than @timeout, or without one than 5 days, which is"
    " Metaflow's own limit: its activeDeadlineSeconds.",
    "evicted": "The kubelet put the pod out, because its node ran short of memory or disk, or the"
    " pod used more disk than its limit. Request what it needs: `memory` and `disk`.",
    "file-missing": "The step opens a file that the pod does not have. Pods get the Python files of"
    " the flow's folder and of the package, and what METAFLOW_DEFAULT_PACKAGE_SUFFIXES adds.",
    "flow-deployed": "The Workflow refers to a WorkflowTemplate that is not there: it was deleted,"
    " or deployed to another namespace.",
    "gpu-unusable": "The code finds no GPU: the pod asked for none, its node has no driver, the"
    " image has no CUDA, or it runs on kind, which only counts GPUs.",
    "module-missing": "The image has no such Python module, and the code that Metaflow sends has"
    " not either. `k8s check` finds imports of this kind before.",
    "node-affinity": "Rules of affinity, anti-affinity or topology spread keep the pod from the"
    " nodes. Metaflow cannot write them: a policy of the cluster adds them.",
    "node-gone": "The node was shut down, lost or taken away, as a spot machine is, or a pod of"
    " higher priority took the place. @retry starts the step again.",
    "out-of-memory": "The kernel ended the container, because it used more memory than its limit,"
    " or than its node had. What the step asks for is `memory`, in MB; only with"
    ' `qos = "Guaranteed"` that is its limit, too.',
    "pending-timeout": "The pod was pending for longer than `pending_timeout` of [workflow] in"
    " k8s.toml, and Argo has deleted it. Why it was pending is known while its events last, which"
    " is an hour.",
    "pod-deleted": "Somebody or something deleted the pod while it ran: a person, an autoscaler"
    " that emptied its node, or the collection of old pods.",
    "pod-network": "The kubelet cannot set up the pod's network, which is a fault of the node or of"
    " the cluster's network plugin.",
    "pod-starts": "The pod has a node, and does not start there: the message is that of its last"
    " warning.",
    "run": "The state of the run, or a right for want of which part of it is not seen.",
    "run-as-root": "`run_as_non_root` is set, and the image runs as root or as a user whose number"
    " the kubelet does not know.",
    "step-failed": "The step ended with an error of its own; its log says which.",
    "stopped": "The run or its pod was stopped from outside, by `argo stop`, `argo terminate`, a"
    " button, or a signal.",
    "suspended": "The workflow waits until somebody resumes it.",
    "unschedulable": "The scheduler has no node for the pod; the message is its own.",
    "variable-missing": "The code reads an environment variable that the pod does not have. A key"
    " of one of its Secrets, or @environment, gives it.",
    "volume-mount": "The kubelet cannot attach or mount a volume of the pod; the message is its"
    " own.",
    "workflow-failed": "The workflow as a whole failed; the message is Argo's.",
}
